//! What a client can get wrong, with canaries in every place that a client fills.

/// Words for curl: `@place@` stands for a canary, and `{name}` for what the test knows by then.
pub(super) type Request = &'static [&'static str];

/// Without a token, or with one that is none.
pub(super) const TOKENS: &[Request] = &[
    &["{base}/$export?_type=@notokenquery@"],
    &["-H", "Authorization: Bearer @bearer@", "{base}/$export"],
    &["-H", "Authorization: Bearer {forged}", "{base}/$export"],
    &["-H", "Authorization: @scheme@ x", "{base}/$export"],
    &["-u", "@user@:@password@", "{base}/$export"],
    &["{base}/Group?access_token=@tokeninquery@"],
    &[
        "-H",
        "{all}",
        "-H",
        "Authorization: Bearer @second@",
        "{base}/Group",
    ],
    &["-H", "{narrow}", "{base}/$export?_type=Patient"],
    &["-H", "{narrow}", "{base}/Group"],
    &["-H", "{narrow}", "{base}/Group/@narrowgroup@/$export"],
    &["-H", "{narrow}", "{base}/Group/@groupid@/$export"],
];

/// With parameters that are not good.
pub(super) const PARAMETERS: &[Request] = &[
    &["-H", "{all}", "{base}/$export?_type=@type@"],
    &["-H", "{all}", "{base}/$export?_since=@since@"],
    &["-H", "{all}", "{base}/$export?_until=@until@"],
    &["-H", "{all}", "{base}/$export?_outputFormat=@format@"],
    &["-H", "{all}", "{base}/$export?@parameter@=@parametervalue@"],
    &[
        "-H",
        "{all}",
        "{base}/Patient/$export?patient=Patient/@patientquery@",
    ],
    &[
        "-H",
        "{all}",
        "{base}/Patient/$export?_typeFilter=Observation%3Fdate%3D@filter@",
    ],
    &["-H", "{all}", "{base}/Patient/$export?_elements=@elements@"],
    &["-H", "{all}", "{base}/$export?x=%zz@percent@"],
    &["-H", "{all}", "{base}/$export?x=%ff@notutf@"],
    &[
        "-H",
        "{all}",
        "-H",
        "Prefer: @prefer@",
        "{base}/$export?_outputFormat=csv",
    ],
    &[
        "-H",
        "{all}",
        "-H",
        "Idempotency-Key: @longkey@{long}",
        "{base}/$export",
    ],
    &["-H", "{all}", "{base}/Group?@searchname@=1"],
    &["-H", "{all}", "{base}/Group?_count=@count@"],
    &["-H", "{all}", "{base}/Group?name=@nosuchname@"],
    &["-H", "{all}", "{base}/Group?identifier=@nosuchidentifier@"],
    &["-H", "{all}", "{base}/Group?_id=@nosuchid@"],
];

/// With bodies that are not good; each behind the words of [`POST`].
pub(super) const BODIES: &[&str] = &[
    r#"{"@notjson@"#,
    r#"["@notobject@"]"#,
    r#"{"resourceType":"@bodytype@"}"#,
    r#"{"resourceType":"Parameters","parameter":"@notalist@"}"#,
    r#"{"resourceType":"Parameters","parameter":[{"name":{"@nameobject@":1}}]}"#,
    r#"{"resourceType":"Parameters","parameter":[{"name":"_since","valueX":["@valuex@"]}]}"#,
    r#"{"resourceType":"Parameters","parameter":[{"name":"_since","valueString":"@bodysince@"}]}"#,
    r#"{"resourceType":"Parameters","parameter":[{"name":"@bodyparameter@","valueString":"x"}]}"#,
    r#"{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"Patient/@nosuchpatient@"}}]}"#,
    r#"{"resourceType":"Parameters","parameter":[{"name":"patient","valueReference":{"reference":"@badreference@"}}]}"#,
];

/// What comes before a body.
pub(super) const POST: Request = &[
    "-H",
    "{all}",
    "-H",
    "Content-Type: application/fhir+json",
    "-d",
];

/// At paths, by methods and with headers that lead nowhere.
pub(super) const PLACES: &[Request] = &[
    &["{origin}/@root@"],
    &["{origin}/@tenant@/fhir/metadata"],
    &["{base}/@path@"],
    &["{base}/OperationDefinition/@definition@"],
    &["-H", "{all}", "{base}/Group/@group@"],
    &["-H", "{all}", "{base}/Group/@oddgroup@_!"],
    &["-H", "{all}", "{base}/Group/@nosuchgroup@/$export"],
    &["-H", "{all}", "{base}/bulk-export/jobs/@job@"],
    &[
        "-H",
        "{all}",
        "-X",
        "DELETE",
        "{base}/bulk-export/jobs/@deleted@",
    ],
    &["{base}/bulk-export/files/@filejob@/@file@"],
    &[
        "-H",
        "{all}",
        "{base}/bulk-export/files/00000000000000000000000000000000/@path@?signature=@sig@",
    ],
    &["-H", "{all}", "-X", "@METHOD@", "{base}/$export"],
    &[
        "-H",
        "{all}",
        "-H",
        "Content-Type: text/@contenttype@",
        "-d",
        "@plainbody@",
        "{base}/$export",
    ],
    &[
        "-H",
        "{all}",
        "-H",
        "Content-Encoding: @encoding@",
        "-d",
        "@packedbody@",
        "{base}/$export",
    ],
    &[
        "-H",
        "{all}",
        "-H",
        "Accept: text/@accept@",
        "{base}/$export",
    ],
    &[
        "-H",
        "{all}",
        "-H",
        "X-Large: @large@{huge}",
        "{base}/$export",
    ],
    &["-H", "{all}", "{base}/$export?x=@longurl@{huge}"],
    &["-H", "Host: @hostonly@", "{base}/metadata"],
    &["--http1.0", "-H", "Host:", "{base}/@nohost@"],
    &["--path-as-is", "{base}/../../@dots@"],
    &["{base}/%2f%00@zero@"],
];

/// Everything else that a request brings along; with an export that is refused, and one that is not.
pub(super) const HEADERS: Request = &[
    "-H",
    "User-Agent: @agent@",
    "-H",
    "Host: @host@",
    "-H",
    "X-Request-Id: @requestid@ (odd)",
    "-H",
    "X-Forwarded-For: @forwardedfor@",
    "-H",
    "X-Forwarded-Host: @forwardedhost@",
    "-H",
    "Forwarded: for=@forwarded@",
    "-H",
    "Cookie: a=@cookie@",
    "-H",
    "Referer: http://@referer@/",
    "-H",
    "Origin: http://@origin@",
    "-H",
    "Accept-Language: @language@",
    "-H",
    "If-None-Match: \"@nonematch@\"",
    "-H",
    "If-Range: \"@ifrange@\"",
    "-H",
    "Range: @range@=0-1",
    "-H",
    "traceparent: 00-@traceparent@-1-01",
    "-H",
    "tracestate: a=@tracestate@",
    "-H",
    "baggage: a=@baggage@",
    "-H",
    "Prefer: respond-async, @preference@",
];

/// Bodies of token requests; what is left out is as it should be.
pub(super) const FORMS: &[&str] = &[
    "@formbody@",
    "{proof}&grant_type=@grant@&scope=system%2F*.rs&client_assertion={assertion}",
    "{proof}&grant_type=client_credentials&scope=@scope@&client_assertion={assertion}",
    "{proof}&grant_type=client_credentials&scope=system%2F*.rs&client_assertion=@assertion@",
    "{proof}&grant_type=client_credentials&scope=system%2F*.rs&client_assertion=@a@.@b@.@c@",
    "{proof}&grant_type=client_credentials&scope=x&client_id=@clientid@&client_assertion={assertion}",
    "{proof}&grant_type=client_credentials&scope=x&client_secret=@clientsecret@",
    "client_assertion_type=@assertiontype@&grant_type=client_credentials",
];

/// Claims and header members of assertions that are refused.
pub(super) const ASSERTIONS: &[(&str, &str)] = &[
    ("kid", "@kid@"),
    ("jku", "https://@jku@/"),
    ("typ", "@typ@"),
    ("crit", "@crit@"),
    ("iss", "@claimediss@"),
    ("aud", "https://@aud@/"),
    ("exp", "@exp@"),
    ("jti", ""),
];

/// The admin port.
pub(super) const ADMIN: &[Request] = &[
    &["{admin}/@adminpath@"],
    &[
        "-H",
        "Authorization: Bearer @adminsecret@",
        "{admin}/clients/one",
    ],
    &["-H", "{secret}", "{admin}/clients/@admintenant@"],
    &["-H", "{secret}", "{admin}/clients/one/@adminclient@"],
    &[
        "-H",
        "{secret}",
        "-d",
        "{\"@adminjson@",
        "{admin}/clients/one",
    ],
    &[
        "-H",
        "{secret}",
        "-d",
        "{\"@adminfield@\":1}",
        "{admin}/clients/one",
    ],
    &[
        "-H",
        "{secret}",
        "-d",
        "{\"scopes\":[\"@adminscope@\"]}",
        "{admin}/clients/one",
    ],
    &[
        "-H",
        "{secret}",
        "-d",
        "{\"scopes\":[],\"jwks\":\"@adminjwks@\"}",
        "{admin}/clients/one",
    ],
];
