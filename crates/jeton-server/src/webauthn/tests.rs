//! Each check of §7.1 and §7.2, by an authenticator that does wrong what a test says.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ciborium::Value;
use serde_json::json;

use super::*;

const CHALLENGE: &str = "Y2hhbGxlbmdl";
const USER: &[u8] = b"adm_1";

fn party() -> RelyingParty {
    RelyingParty::of(&"https://auth.example.com".parse().unwrap()).unwrap()
}

enum Key {
    Es256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl Key {
    fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    fn all() -> [Self; 3] {
        [
            Self::es256(),
            Self::Ed25519(Ed25519KeyPair::generate().unwrap()),
            Self::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        ]
    }

    fn members(&self) -> Vec<(Value, Value)> {
        let number = |number: i64| Value::from(number);
        let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                vec![
                    (number(1), number(2)),
                    (number(3), number(-7)),
                    (number(-1), number(1)),
                    (number(-2), bytes(&point[1..33])),
                    (number(-3), bytes(&point[33..])),
                ]
            }
            Self::Ed25519(pair) => vec![
                (number(1), number(1)),
                (number(3), number(-8)),
                (number(-1), number(6)),
                (number(-2), bytes(pair.public_key().as_ref())),
            ],
            Self::Rs256(pair) => vec![
                (number(1), number(3)),
                (number(3), number(-257)),
                (
                    number(-1),
                    bytes(
                        pair.public_key()
                            .modulus()
                            .big_endian_without_leading_zero(),
                    ),
                ),
                (
                    number(-2),
                    bytes(
                        pair.public_key()
                            .exponent()
                            .big_endian_without_leading_zero(),
                    ),
                ),
            ],
        }
    }

    fn cose(&self) -> Vec<u8> {
        cbor(&Value::Map(self.members()))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

fn cbor(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).unwrap();
    bytes
}

/// An authenticator and its browser. Each field is right unless a test changes it.
struct Device {
    key: Key,
    r#type: Option<&'static str>,
    challenge: String,
    origin: String,
    more: serde_json::Value,
    rp_id: &'static str,
    flags: u8,
    count: u32,
    id: Vec<u8>,
    user_handle: Option<Vec<u8>>,
    format: &'static str,
    statement: Vec<(Value, Value)>,
    cose: Option<Vec<u8>>,
    tail: Vec<u8>,
}

impl Device {
    fn new(key: Key) -> Self {
        Self {
            key,
            r#type: None,
            challenge: CHALLENGE.into(),
            origin: "https://auth.example.com".into(),
            more: json!({}),
            rp_id: "auth.example.com",
            flags: 0b0000_0101,
            count: 7,
            id: b"credential".to_vec(),
            user_handle: Some(USER.to_vec()),
            format: "none",
            statement: Vec::new(),
            cose: None,
            tail: Vec::new(),
        }
    }

    fn client_data(&self, right: &str) -> Vec<u8> {
        let mut data = json!({
            "type": self.r#type.unwrap_or(right),
            "challenge": self.challenge,
            "origin": self.origin,
        });
        let more = self.more.as_object().unwrap().clone();
        data.as_object_mut().unwrap().extend(more);
        data.to_string().into_bytes()
    }

    fn data(&self, credential: &[u8]) -> Vec<u8> {
        let mut data = digest(&SHA256, self.rp_id.as_bytes()).as_ref().to_vec();
        data.push(self.flags | if credential.is_empty() { 0 } else { 0x40 });
        data.extend(self.count.to_be_bytes());
        data.extend(credential);
        data.extend(&self.tail);
        data
    }

    fn registration(&self) -> String {
        let cose = self.cose.clone().unwrap_or_else(|| self.key.cose());
        let length = u16::try_from(self.id.len()).unwrap().to_be_bytes();
        let credential = [&[0; 16][..], &length, &self.id, &cose].concat();
        let object = Value::Map(vec![
            (Value::from("fmt"), Value::from(self.format)),
            (Value::from("attStmt"), Value::Map(self.statement.clone())),
            (
                Value::from("authData"),
                Value::Bytes(self.data(&credential)),
            ),
        ]);
        json!({
            "id": URL_SAFE_NO_PAD.encode(&self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(self.client_data("webauthn.create")),
                "attestationObject": URL_SAFE_NO_PAD.encode(cbor(&object)),
            },
        })
        .to_string()
    }

    fn assertion(&self) -> String {
        let client_data = self.client_data("webauthn.get");
        let data = self.data(&[]);
        let hash = digest(&SHA256, &client_data);
        let signature = self.key.sign(&[&data, hash.as_ref()].concat());
        json!({
            "id": URL_SAFE_NO_PAD.encode(&self.id),
            "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(client_data),
                "authenticatorData": URL_SAFE_NO_PAD.encode(data),
                "signature": URL_SAFE_NO_PAD.encode(signature),
                "userHandle": self.user_handle.as_ref().map(|handle| URL_SAFE_NO_PAD.encode(handle)),
            },
        })
        .to_string()
    }

    fn register(&self) -> Result<Registered, WebAuthnError> {
        verify_registration(&party(), CHALLENGE, &self.registration())
    }

    fn sign_in(&self, public_key: &str) -> Result<u32, WebAuthnError> {
        let known = Known {
            user_handle: USER,
            public_key,
            backup_eligible: false,
        };
        let assertion = Assertion::parse(&self.assertion())?;
        assertion.verify(&party(), CHALLENGE, known)
    }
}

#[test]
fn keys_of_all_three_algorithms_register_and_sign_in() {
    for key in Key::all() {
        let mut device = Device::new(key);
        let registered = device.register().unwrap();
        assert_eq!(registered.id, URL_SAFE_NO_PAD.encode("credential"));
        assert_eq!(
            (registered.sign_count, registered.backup_eligible),
            (7, false)
        );
        device.count = 8;
        assert_eq!(device.sign_in(&registered.public_key), Ok(8));
    }
}

type Change = fn(&mut Device);

/// What both ceremonies check.
const BOTH: [(&str, Change, WebAuthnError); 11] = [
    (
        "type",
        |d| d.r#type = Some("payment.get"),
        WebAuthnError::Type,
    ),
    (
        "challenge",
        |d| d.challenge = "b3RoZXI".into(),
        WebAuthnError::Challenge,
    ),
    (
        "no challenge",
        |d| d.challenge.clear(),
        WebAuthnError::Challenge,
    ),
    (
        "origin",
        |d| d.origin = "https://evil.example".into(),
        WebAuthnError::Origin,
    ),
    (
        "a subdomain",
        |d| d.origin = "https://x.auth.example.com".into(),
        WebAuthnError::Origin,
    ),
    (
        "a frame",
        |d| d.more = json!({ "crossOrigin": true }),
        WebAuthnError::Origin,
    ),
    (
        "a frame's page",
        |d| d.more = json!({ "topOrigin": "https://evil.example" }),
        WebAuthnError::Origin,
    ),
    ("RP ID", |d| d.rp_id = "example.com", WebAuthnError::RpId),
    ("nobody", |d| d.flags = 0b100, WebAuthnError::UserPresence),
    (
        "not verified",
        |d| d.flags = 0b001,
        WebAuthnError::UserVerification,
    ),
    (
        "backed up",
        |d| d.flags = 0b1_0101,
        WebAuthnError::BackupState,
    ),
];

#[test]
fn each_check_of_a_registration_fails_by_itself() {
    let more: [(&str, Change, WebAuthnError); 8] = [
        (
            "the other ceremony",
            |d| d.r#type = Some("webauthn.get"),
            WebAuthnError::Type,
        ),
        (
            "a format",
            |d| d.format = "packed",
            WebAuthnError::Attestation,
        ),
        (
            "a statement",
            |d| d.statement = vec![(Value::from("sig"), Value::from(1))],
            WebAuthnError::Attestation,
        ),
        ("no ID", |d| d.id.clear(), WebAuthnError::Malformed),
        (
            "a long ID",
            |d| d.id = vec![0; 1024],
            WebAuthnError::Malformed,
        ),
        (
            "more behind it",
            |d| d.tail = vec![0],
            WebAuthnError::Malformed,
        ),
        (
            "an algorithm",
            |d| {
                let mut members = d.key.members();
                members[1].1 = Value::from(-37);
                d.cose = Some(cbor(&Value::Map(members)));
            },
            WebAuthnError::Algorithm,
        ),
        (
            "a label twice",
            |d| {
                let mut members = d.key.members();
                members.push(members[3].clone());
                d.cose = Some(cbor(&Value::Map(members)));
            },
            WebAuthnError::Malformed,
        ),
    ];
    for (what, change, error) in BOTH.into_iter().chain(more) {
        let mut device = Device::new(Key::es256());
        change(&mut device);
        assert_eq!(device.register().unwrap_err(), error, "{what}");
    }
}

#[test]
fn each_check_of_an_assertion_fails_by_itself() {
    let more: [(&str, Change, WebAuthnError); 5] = [
        (
            "the other ceremony",
            |d| d.r#type = Some("webauthn.create"),
            WebAuthnError::Type,
        ),
        (
            "no user",
            |d| d.user_handle = None,
            WebAuthnError::UserHandle,
        ),
        (
            "another user",
            |d| d.user_handle = Some(b"adm_2".to_vec()),
            WebAuthnError::UserHandle,
        ),
        (
            "another kind",
            |d| d.flags = 0b1101,
            WebAuthnError::BackupState,
        ),
        (
            "another key",
            |d| d.key = Key::es256(),
            WebAuthnError::Signature,
        ),
    ];
    for (what, change, error) in BOTH.into_iter().chain(more) {
        let mut device = Device::new(Key::es256());
        let registered = device.register().unwrap();
        change(&mut device);
        assert_eq!(device.sign_in(&registered.public_key), Err(error), "{what}");
    }
}

#[test]
fn what_was_signed_cannot_be_altered() {
    let device = Device::new(Key::es256());
    let registered = device.register().unwrap();
    let known = Known {
        user_handle: USER,
        public_key: &registered.public_key,
        backup_eligible: false,
    };
    let mut counted = Assertion::parse(&device.assertion()).unwrap();
    *counted.authenticator_data.last_mut().unwrap() += 1;
    let verified = counted.verify(&party(), CHALLENGE, known);
    assert_eq!(verified, Err(WebAuthnError::Signature));
    let mut said = Assertion::parse(&device.assertion()).unwrap();
    said.client_data.push(b' ');
    let verified = said.verify(&party(), CHALLENGE, known);
    assert_eq!(verified, Err(WebAuthnError::Signature));
}

#[test]
fn extensions_are_passed_over_and_anything_else_is_no_document() {
    let mut device = Device::new(Key::es256());
    device.flags |= 0x80;
    device.tail = cbor(&Value::Map(vec![(Value::from("x"), Value::from(1))]));
    let registered = device.register().unwrap();
    assert_eq!(device.sign_in(&registered.public_key), Ok(7));
    let long = format!("{}{}", device.registration(), " ".repeat(MAX_DOCUMENT));
    for document in ["", "{}", "[]", "null", &device.assertion(), &long] {
        let verified = verify_registration(&party(), CHALLENGE, document);
        assert_eq!(verified.unwrap_err(), WebAuthnError::Malformed);
    }
    // Half of everything, at each length.
    let whole = device.registration();
    let object: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let text = object["response"]["attestationObject"].as_str().unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
    for length in 0..bytes.len() {
        let mut object = object.clone();
        object["response"]["attestationObject"] = URL_SAFE_NO_PAD.encode(&bytes[..length]).into();
        let verified = verify_registration(&party(), CHALLENGE, &object.to_string());
        assert!(verified.is_err(), "{length}");
    }
}
