SELECT CAST(o.kind AS TEXT) AS kind, CAST(o.name AS TEXT) AS name, CAST(o.owner AS TEXT) AS owner,
    CAST(o.definition AS TEXT) AS definition
FROM (
    SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
            WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence'
            ELSE 'type' END AS kind,
        c.relname AS name, c.relname AS owner,
        COALESCE((
            SELECT pg_catalog.string_agg(
                a.attname || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
                || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
                || COALESCE(' DEFAULT ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), '')
                || CASE WHEN a.attgenerated = '' AND a.attidentity = '' THEN '' ELSE ' GENERATED' END
                || CASE WHEN a.attcollation = t.typcollation THEN '' ELSE ' COLLATE' END,
                ', ' ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a
            JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
            LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ), '') AS definition
    FROM pg_catalog.pg_class c
    WHERE c.relnamespace = (SELECT n.oid FROM pg_catalog.pg_namespace n
            WHERE n.nspname = pg_catalog.current_schema())
        AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e
            WHERE e.objid = c.oid AND e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.deptype = 'e')
    UNION ALL
    SELECT 'index', x.relname, c.relname,
        pg_catalog.replace(pg_catalog.pg_get_indexdef(i.indexrelid),
            pg_catalog.quote_ident(pg_catalog.current_schema()) || '.', '')
        || CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = pg_catalog.current_schema()
    UNION ALL
    SELECT 'trigger', g.tgname, c.relname, ''
    FROM pg_catalog.pg_trigger g
    JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = pg_catalog.current_schema()
    WHERE NOT g.tgisinternal
    UNION ALL
    SELECT 'rule', r.rulename, c.relname, ''
    FROM pg_catalog.pg_rewrite r
    JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = pg_catalog.current_schema()
    WHERE r.rulename <> '_RETURN'
    UNION ALL
    SELECT 'policy', p.polname, c.relname, ''
    FROM pg_catalog.pg_policy p
    JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = pg_catalog.current_schema()
    UNION ALL
    SELECT 'row security', c.relname, c.relname, ''
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = pg_catalog.current_schema()
    WHERE c.relrowsecurity OR c.relforcerowsecurity
    UNION ALL
    SELECT 'inheritance', k.relname, c.relname, ''
    FROM pg_catalog.pg_inherits h
    JOIN pg_catalog.pg_class c ON c.oid = h.inhparent AND c.relkind = 'r'
    JOIN pg_catalog.pg_class k ON k.oid = h.inhrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = pg_catalog.current_schema()
    UNION ALL
    SELECT 'function', f.proname, '', ''
    FROM pg_catalog.pg_proc f
    JOIN pg_catalog.pg_namespace n ON n.oid = f.pronamespace AND n.nspname = pg_catalog.current_schema()
    WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e
        WHERE e.objid = f.oid AND e.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND e.deptype = 'e')
    UNION ALL
    SELECT 'operator', o.oprname, '', ''
    FROM pg_catalog.pg_operator o
    JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace AND n.nspname = pg_catalog.current_schema()
    WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e
        WHERE e.objid = o.oid AND e.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND e.deptype = 'e')
    UNION ALL
    SELECT 'shadowed name', c.relname, c.relname, ''
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = pg_catalog.current_schema()
    WHERE c.relkind IN ('r', 'v') AND pg_catalog.to_regclass(pg_catalog.quote_ident(c.relname)) <> c.oid
) AS o
ORDER BY 1, 3, 2, 4
