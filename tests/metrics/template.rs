//! Query templates.

use windlass::metrics::template::{MAX_QUERY, MAX_TEMPLATE, TemplateError, Variables, check, render};

fn variables() -> Variables<'static> {
    Variables {
        namespace: "shop",
        workload: "checkout",
        stable_revision: "5d4f8c7b9",
        candidate_revision: "7c6b5a493",
        step: 2,
        window: 300,
    }
}

#[test]
fn every_variable_is_put_in() {
    let template = r#"sum(rate(errors{namespace="{{ namespace }}", app=~"{{workload}}-.*", rev="{{- candidate.revision -}}", old!='{{ stable.revision }}'}[{{ window }}])) * {{ step }}"#;
    assert_eq!(
        render(template, &variables()).unwrap(),
        r#"sum(rate(errors{namespace="shop", app=~"checkout-.*", rev="7c6b5a493", old!='5d4f8c7b9'}[300s])) * 2"#
    );
}

#[test]
fn conditions_choose_and_comments_vanish() {
    let template = r#"{% if step >= 3 and namespace != "test" %}high{% elif workload == 'checkout' %}middle{% else %}low{% endif %}{# not this #}"#;
    assert_eq!(render(template, &variables()).unwrap(), "middle");
    let later = Variables { step: 3, ..variables() };
    assert_eq!(render(template, &later).unwrap(), "high");
}

#[test]
fn promql_braces_are_left_alone() {
    let template = "sum by (le) ({__name__=~\"a|b\", x=\"{}\"}) # {x}";
    assert_eq!(render(template, &variables()).unwrap(), template);
}

#[test]
fn an_unknown_variable_is_named_with_all_that_exist() {
    let error = check("up{\n a=\"{{ candidat.revision }}\"}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 2 of the query template: there is no variable `candidat.revision`; there are namespace, workload, stable.revision, candidate.revision, step, window"
    );
    assert!(matches!(check("{% if secret %}1{% endif %}"), Err(TemplateError::Unknown { name, .. }) if name == "secret"));
    assert!(matches!(check("{{ stable }}"), Err(TemplateError::Unknown { .. })));
}

/// What could grow, loop or reach something else of the template language.
#[test]
fn nothing_else_of_the_language_gets_through() {
    for template in [
        "{{ namespace ~ namespace }}",
        "{{ 'a' * 1000000000 }}",
        "{{ namespace | upper }}",
        "{{ range(1000000) }}",
        "{{ namespace.__class__ }}",
        "{{ namespace[0] }}",
        "{{ self }}",
        "{{ \"}}\" }}",
        "{{}}",
        "{{ {} }}",
        "{% for x in namespace %}a{% endfor %}",
        "{% set s = namespace %}",
        "{% set s %}a{% endset %}",
        "{% include 'file' %}",
        "{% import 'file' as f %}",
        "{% extends 'file' %}",
        "{% macro m() %}{% endmacro %}",
        "{% raw %}{{ x }}{% endraw %}",
        "{% block b %}{% endblock %}",
        "{% filter upper %}a{% endfilter %}",
        "{% do namespace() %}",
        "{% if namespace ~ namespace %}a{% endif %}",
        "{% if 'a' * 1000000000 == 'b' %}a{% endif %}",
        "{% if namespace is defined %}a{% endif %}",
        "{% if 1 if 2 else 3 %}a{% endif %}",
        "{% if \"%}\" %}a{% endif %}",
    ] {
        let error = check(template).unwrap_err();
        assert!(matches!(error, TemplateError::NotAllowed { .. } | TemplateError::Unknown { .. }), "{template}: {error}");
    }
}

#[test]
fn broken_templates_are_errors() {
    assert!(matches!(check("a\n{{ namespace"), Err(TemplateError::Unclosed { line: 2, open: "{{" })));
    assert!(matches!(check("{% if step"), Err(TemplateError::Unclosed { .. })));
    assert!(matches!(check("{# "), Err(TemplateError::Unclosed { .. })));
    for template in
        ["{% if step %}1", "{% endif %}", "{% if %}1{% endif %}", "{% if step == %}1{% endif %}", "{% if (((step %}1{% endif %}"]
    {
        assert!(matches!(check(template), Err(TemplateError::Syntax { .. })), "{template}: {:?}", check(template));
    }
    assert!(matches!(check("up\u{1}"), Err(TemplateError::Control { line: 1 })));
    // deep nesting ends in an error, not in a stack overflow
    let _ = check(&"{% if step %}".repeat(MAX_TEMPLATE / 13)).unwrap_err();
    let _ = check(&format!("{{% if {}step %}}1{{% endif %}}", "(".repeat(MAX_TEMPLATE - 50))).unwrap_err();
}

#[test]
fn templates_and_queries_have_limits() {
    assert!(matches!(check(&"a".repeat(MAX_TEMPLATE + 1)), Err(TemplateError::TooLong(_))));
    assert_eq!(render(&"a".repeat(MAX_TEMPLATE), &variables()).unwrap().len(), MAX_TEMPLATE);
    let long = "x".repeat(253);
    let wide = Variables { workload: &long, ..variables() };
    assert_eq!(render(&"'{{workload}}'".repeat(200), &wide), Err(TemplateError::QueryTooLong));
    assert_eq!(render(&"'{{workload}}'".repeat(64), &wide).unwrap().len(), 64 * 255);
    assert!(render(&"'{{workload}}'".repeat(64), &wide).unwrap().len() <= MAX_QUERY);
}

#[test]
fn a_text_outside_quotes_is_refused() {
    for (template, line) in [
        ("errors_{{ workload }}", 1),
        ("a{x=\"y\"}\n + {{ workload }}", 2),
        ("a{x=\"\\\"\"} or {{ workload }}", 1),
        ("a{x=`\\`} or {{ workload }}", 1),
        ("a # '\n + {{ workload }}", 2),
    ] {
        let error = render(template, &variables()).unwrap_err();
        assert_eq!(error, TemplateError::Unquoted { line, name: "workload".to_owned() }, "{template}");
    }
}

#[test]
fn a_backslash_before_a_value_is_refused() {
    let error = render(r#"a{x="\\\{{ workload }}"}"#, &variables()).unwrap_err();
    assert_eq!(error, TemplateError::Escaped { line: 1, name: "workload".to_owned() });
    assert!(render(r#"a{x="\\{{ workload }}"}"#, &variables()).is_ok());
}

/// A reader of PromQL's literals that knows nothing of our code: the query with each literal replaced by `S`.
fn shape(query: &str) -> String {
    let mut out = String::new();
    let mut chars = query.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\'' => {
                loop {
                    match chars.next() {
                        Some('\\') => drop(chars.next()),
                        Some(end) if end == c => break,
                        Some('\n') | None => return format!("{out}<unterminated>"),
                        Some(_) => {}
                    }
                }
                out.push('S');
            }
            '`' => {
                assert!(chars.by_ref().any(|c| c == '`'), "unterminated");
                out.push('S');
            }
            _ => out.push(c),
        }
    }
    out
}

proptest::proptest! {
    /// No value changes the shape of the query, in any kind of literal.
    #[test]
    fn no_value_changes_the_shape(value in "[\"'`\\\\\n\r\u{1}\u{2}#{}ax ]{0,12}|\\PC{0,12}") {
        let template = "a{d=\"{{ workload }}\", s='{{ workload }}', r=`{{ workload }}`, m=\"x{{ workload }}\\\\y\"} > {{ step }}";
        let given = Variables { workload: &value, ..variables() };
        let query = render(template, &given).unwrap();
        proptest::prop_assert_eq!(shape(&query), "a{d=S, s=S, r=S, m=S} > 2", "{}", query);
    }

    /// Any text as template is an answer or an error.
    #[test]
    fn any_template_is_survived(template in "(\\{\\{|\\}\\}|\\{%|%\\}|\\{#|#\\}|if|endif|step|namespace|[ \"'`\\\\~*+|().a-z0-9\n])*") {
        if let Ok(query) = render(&template, &variables()) {
            proptest::prop_assert!(query.len() <= MAX_QUERY);
        }
    }
}

#[test]
fn hostile_values_are_escaped() {
    let hostile = Variables { workload: "x\"} or vector(1)#\\\n", ..variables() };
    assert_eq!(render(r#"up{a="{{ workload }}"}"#, &hostile).unwrap(), r#"up{a="x\x22} or vector(1)#\x5c\x0a"}"#);
}
