//! Every kind of answer that a Prometheus, or what stands in its place, can give.

use std::io::Write;
use std::time::{Duration, Instant};

use windlass::metrics::{Authentication, MetricsError, Prometheus, PrometheusOptions, Sample, Secret, Source};

use super::server::{Server, respond};

const CANARY: &str = "canary-5ecret-c0ffee";

fn ask(server: &Server) -> Result<Vec<Sample>, MetricsError> {
    ask_with(options(server))
}

/// Every request carries the canary, and no error may show it or where the server is.
fn ask_with(options: PrometheusOptions) -> Result<Vec<Sample>, MetricsError> {
    let shown_options = format!("{options:?}");
    let source = Prometheus::new(options)?;
    let answer = source.query("up{a=\"b & c\"}", 1_700_000_000);
    let shown =
        format!("{answer:?} {source:?} {shown_options} {}", answer.as_ref().err().map(ToString::to_string).unwrap_or_default());
    assert!(!shown.contains(CANARY), "{shown}");
    assert!(!answer.as_ref().is_err_and(|error| format!("{error} {error:?}").contains("127.0.0.1")), "{shown}");
    answer
}

fn options(server: &Server) -> PrometheusOptions {
    let mut options = PrometheusOptions::new("prom", format!("{}/prefix/", server.url()));
    options.authentication = Some(Authentication::Bearer(Secret::new(CANARY)));
    options.headers = vec![("X-Scope-OrgID".to_owned(), Secret::new("shop"))];
    options.timeout = Duration::from_secs(2);
    options
}

fn values(server: &Server) -> Vec<f64> {
    ask(server).unwrap().into_iter().map(|sample| sample.value).collect()
}

fn refused(server: &Server) -> String {
    match ask(server) {
        Err(MetricsError::Refused { source_name, cause }) if source_name == "prom" => cause,
        other => panic!("{other:?}"),
    }
}

fn unreachable(server: &Server) -> String {
    match ask(server) {
        Err(MetricsError::Unreachable { source_name, cause }) if source_name == "prom" => cause,
        other => panic!("{other:?}"),
    }
}

fn success(data: &str) -> Server {
    Server::fixed("200 OK", format!(r#"{{"status":"success","data":{data}}}"#))
}

#[test]
fn a_vector_gives_all_its_samples() {
    let server = success(
        r#"{"resultType":"vector","result":[{"metric":{"a":"b"},"value":[1700000000.1,"0.5"]},{"metric":{},"value":[1700000000,"1e3"]}]}"#,
    );
    assert_eq!(values(&server), [0.5, 1000.0]);
    let request = &server.seen()[0];
    assert_eq!(request.line, "POST /prefix/api/v1/query HTTP/1.1");
    assert_eq!(request.header("authorization"), Some(format!("Bearer {CANARY}").as_str()));
    assert_eq!(request.header("x-scope-orgid"), Some("shop"));
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert!(
        request.body.contains("query=up%7Ba%3D%22b%20%26%20c%22%7D") || request.body.contains("query=up%7Ba%3D%22b+%26+c%22%7D"),
        "{}",
        request.body
    );
    assert!(request.body.contains("time=1700000000&timeout=2000ms"), "{}", request.body);
}

#[test]
fn basic_authentication_is_sent() {
    let server = success(r#"{"resultType":"scalar","result":[1,"1"]}"#);
    let mut given = options(&server);
    given.authentication = Some(Authentication::Basic { user: "Aladdin".to_owned(), password: Secret::new("open sesame") });
    ask_with(given).unwrap();
    assert_eq!(server.seen()[0].header("authorization"), Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
}

#[test]
fn scalars_and_empty_vectors() {
    assert_eq!(values(&success(r#"{"resultType":"scalar","result":[1,"42"]}"#)), [42.0]);
    assert!(values(&success(r#"{"result":[],"resultType":"vector"}"#)).is_empty());
}

#[test]
fn what_is_no_number_is_kept_for_the_judge() {
    let found =
        values(&success(r#"{"resultType":"vector","result":[{"value":[1,"NaN"]},{"value":[1,"+Inf"]},{"value":[1,"-Inf"]}]}"#));
    assert!(found[0].is_nan());
    assert_eq!(found[1..], [f64::INFINITY, f64::NEG_INFINITY]);
}

#[test]
fn other_result_types_are_refused() {
    assert!(refused(&success(r#"{"resultType":"matrix","result":[{"metric":{},"values":[[1,"1"]]}]}"#)).contains("matrix"));
    assert!(refused(&success(r#"{"resultType":"string","result":[1,"x"]}"#)).contains("text"));
    assert!(refused(&success(r#"{"resultType":"vector","result":[{"metric":{},"histogram":[1,{}]}]}"#)).contains("histogram"));
    assert!(refused(&success(r#"{"resultType":"streams","result":[]}"#)).contains("not an answer of Prometheus"));
    assert!(refused(&success(r#"{"resultType":"scalar","result":[1,"many"]}"#)).contains("not a number"));
    assert!(refused(&Server::fixed("200 OK", r#"{"status":"success"}"#)).contains("no data"));
}

#[test]
fn a_part_of_the_data_is_no_answer() {
    let data = r#""data":{"resultType":"scalar","result":[1,"1"]}"#;
    let partial = Server::fixed("200 OK", format!(r#"{{"status":"success","isPartial":true,{data}}}"#));
    assert!(refused(&partial).contains("part of the data"));
    let warned =
        Server::fixed("200 OK", format!(r#"{{"status":"success","warnings":["store http://10.0.0.1:9 is down"],{data}}}"#));
    assert_eq!(refused(&warned), "the answer may be incomplete, it carries the warning: store <address> is down");
}

#[test]
fn prometheus_own_errors_are_passed_on() {
    let body =
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:3: parse error\nunexpected <EOF>"}"#;
    let text = "bad_data: invalid parameter \"query\": 1:3: parse error unexpected <EOF>";
    assert_eq!(refused(&Server::fixed("400 Bad Request", body)), text);
    assert_eq!(refused(&Server::fixed("200 OK", body)), text);
    let late = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
    assert_eq!(unreachable(&Server::fixed("503 Service Unavailable", late)), "timeout: query timed out");
    assert_eq!(unreachable(&Server::fixed("200 OK", late)), "timeout: query timed out");
    let long = format!(r#"{{"status":"error","errorType":"execution","error":"{}"}}"#, "x".repeat(5000));
    assert!(refused(&Server::fixed("422 Unprocessable Entity", long)).chars().count() <= 301);
}

#[test]
fn an_echo_of_the_credentials_is_not_passed_on() {
    let server = Server::start(|request, stream| {
        let told = format!(
            "{} at http://{} ({})",
            request.header("authorization").unwrap(),
            request.header("host").unwrap(),
            request.path()
        );
        respond(
            stream,
            "400 Bad Request",
            &[],
            format!(r#"{{"status":"error","errorType":"bad_data","error":"{told}"}}"#).as_bytes(),
        );
    });
    assert_eq!(refused(&server), "bad_data: Bearer *** at <address> (***/api/v1/query)");
}

#[test]
fn statuses_tell_whether_to_try_again() {
    assert_eq!(unreachable(&Server::fixed("500 Internal Server Error", "oops")), "it answers with HTTP status 500");
    assert_eq!(unreachable(&Server::fixed("502 Bad Gateway", "<html>")), "it answers with HTTP status 502");
    assert_eq!(unreachable(&Server::fixed("429 Too Many Requests", "")), "it answers with HTTP status 429");
    assert_eq!(refused(&Server::fixed("401 Unauthorized", "")), "it does not accept the credentials (401)");
    assert_eq!(refused(&Server::fixed("403 Forbidden", "")), "it does not accept the credentials (403)");
    assert!(refused(&Server::fixed("404 Not Found", "404 page not found")).contains("must end with the path before /api/v1"));
}

#[test]
fn a_redirect_is_not_followed() {
    for status in ["302 Found", "307 Temporary Redirect"] {
        let other = success(r#"{"resultType":"scalar","result":[1,"1"]}"#);
        let to = format!("{}/api/v1/query", other.url());
        let server = Server::start(move |_, stream| respond(stream, status, &[("location", &to)], b""));
        assert!(refused(&server).contains("redirect"));
        assert!(other.seen().is_empty());
    }
}

#[test]
fn broken_answers_are_refused() {
    assert!(refused(&Server::fixed("200 OK", "<html>log in</html>")).contains("is not JSON"));
    assert!(refused(&Server::fixed("200 OK", "")).contains("ends too early"));
    assert!(refused(&Server::fixed("200 OK", "{\"status\":\"succ")).contains("ends too early"));
    assert!(refused(&Server::fixed("200 OK", [0xff, 0xfe, 0x00].as_slice())).contains("is not JSON"));
    // deep nesting, where the content is skipped and where it is read
    for data in [
        "[".repeat(1_000_000),
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":{}"#, "[".repeat(1_000_000)),
    ] {
        let cause = refused(&Server::fixed("200 OK", data));
        assert!(cause.contains("the answer"), "{cause}");
    }
    assert_eq!(
        unreachable(&Server::start(|_, stream| drop(stream.write_all(b"SSH-2.0-OpenSSH\r\n\r\n")))),
        "the answer is not HTTP"
    );
    // fewer bytes than announced
    let short = Server::start(|_, stream| drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"status\"")));
    let _ = unreachable(&short);
}

#[test]
fn compressed_answers_are_read() {
    let body = gzip(br#"{"status":"success","data":{"resultType":"scalar","result":[1,"7"]}}"#);
    let server = Server::start(move |request, stream| {
        assert!(request.header("accept-encoding").is_some_and(|accepted| accepted.contains("gzip")));
        respond(stream, "200 OK", &[("content-encoding", "gzip")], &body);
    });
    assert_eq!(values(&server), [7.0]);
}

#[test]
fn huge_answers_are_cut_off() {
    // announced, sent without end, and small but growing when unpacked
    let announced = Server::start(|_, stream| respond(stream, "200 OK", &[], &vec![b' '; 5 * 1024 * 1024]));
    assert!(refused(&announced).contains("longer than 4 MiB"));
    let endless = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    assert!(refused(&endless).contains("longer than 4 MiB"));
    let bomb = gzip(&vec![b' '; 64 * 1024 * 1024]);
    let bomb = Server::start(move |_, stream| respond(stream, "200 OK", &[("content-encoding", "gzip")], &bomb));
    assert!(refused(&bomb).contains("longer than 4 MiB"));
    let many = success(&format!(r#"{{"resultType":"vector","result":[{}]}}"#, vec![r#"{"value":[1,"1"]}"#; 10_001].join(",")));
    assert!(refused(&many).contains("10001 series"));
}

#[test]
fn slow_answers_are_given_up() {
    let silent = Server::start(|_, _| std::thread::sleep(Duration::from_secs(4)));
    let drip = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
        for _ in 0..40 {
            if stream.write_all(b" ").is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    for server in [silent, drip] {
        let mut given = options(&server);
        given.timeout = Duration::from_millis(500);
        let start = Instant::now();
        let error = ask_with(given).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(error.to_string(), "cannot reach metrics source `prom`: no answer within 0.5 s");
    }
}

#[test]
fn nobody_listens() {
    let port = Server::fixed("200 OK", "").port(); // closed again
    let mut given = PrometheusOptions::new("prom", format!("http://127.0.0.1:{port}"));
    given.timeout = Duration::from_secs(2);
    assert!(matches!(ask_with(given), Err(MetricsError::Unreachable { .. })));
}

#[test]
fn an_https_url_meets_tls() {
    let server = Server::fixed("200 OK", "");
    let given = PrometheusOptions::new("prom", format!("https://127.0.0.1:{}", server.port()));
    assert!(matches!(ask_with(given), Err(MetricsError::Unreachable { .. })));
    assert!(server.seen().iter().all(|request| !request.line.contains("HTTP")), "spoke plain HTTP to an https address");
}

#[test]
fn wrong_options_are_told_at_once() {
    let cause = |url: &str| Prometheus::new(PrometheusOptions::new("prom", url)).unwrap_err().to_string();
    for url in ["", "prometheus:9090", "ftp://host", "file:///etc/passwd", "http://", "/path", "http://a b"] {
        assert!(cause(url).contains("its url"), "{url}: {}", cause(url));
    }
    let with_password = cause(&format!("http://user:{CANARY}@host"));
    assert!(with_password.contains("credentials") && !with_password.contains(CANARY));
    assert!(cause("http://host/?query=1").contains("query string"));
    let mut given = PrometheusOptions::new("prom", "http://host");
    given.authentication = Some(Authentication::Bearer(Secret::new(format!("{CANARY}\nx: y"))));
    let error = ask_with(given).unwrap_err().to_string();
    assert!(error.contains("not a plain line"), "{error}");
    let mut given = PrometheusOptions::new("prom", "http://host");
    given.headers = vec![("a b".to_owned(), Secret::new("x"))];
    assert!(ask_with(given).is_err());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}
