//! JSON text without the white space between its tokens.
//!
//! Works on text that is already known to be JSON. What is inside strings and the digits of
//! numbers are kept as they are: nothing is parsed and printed again.

/// Appends `json` to `out` without the white space between tokens.
///
/// `json` must be valid JSON text; the result is then the same value on one line.
pub fn minify_into(json: &str, out: &mut Vec<u8>) {
    let mut in_string = false;
    let mut escaped = false;
    out.reserve(json.len());
    for byte in json.bytes() {
        if in_string {
            out.push(byte);
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                in_string = false;
            }
        } else if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            in_string = byte == b'"';
            out.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minify(json: &str) -> String {
        let mut out = Vec::new();
        minify_into(json, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn white_space_between_tokens_goes_and_strings_stay() {
        let pretty = "{\n  \"a b\" : [ 1.10 , true ],\r\n\t\"c\\\" d\" : \"\\\\\" }";
        assert_eq!(minify(pretty), r#"{"a b":[1.10,true],"c\" d":"\\"}"#);
    }
}
