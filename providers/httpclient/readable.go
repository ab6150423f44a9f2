package httpclient

import (
	"bytes"
	"mime"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// readable returns the text of a reply as UTF-8. It removes a byte order mark, and the diagnostics
// that PHP prints before or after the reply of a program. The parameter "contentType" is the
// reply's Content-Type header. If readable cannot decode the text, it returns the text unchanged.
func readable(body []byte, contentType string) []byte {
	return cutDiagnostics(decode(body, contentType))
}

var byteOrderMark = []byte("\ufeff")

// decode returns a text as UTF-8. If the text has a byte order mark, the mark names the encoding.
// Otherwise the charset of the Content-Type names the encoding. There is one exception: if this
// charset is an 8-bit charset and the text is valid UTF-8, decode returns the text unchanged. The
// reason is that many servers name a charset that their programs do not use.
func decode(body []byte, contentType string) []byte {
	var from encoding.Encoding
	switch {
	case bytes.HasPrefix(body, byteOrderMark):
		for bytes.HasPrefix(body, byteOrderMark) {
			body = body[len(byteOrderMark):]
		}
		return body
	case bytes.HasPrefix(body, []byte("\xff\xfe")), bytes.HasPrefix(body, []byte("\xfe\xff")):
		from = unicode.UTF16(unicode.BigEndian, unicode.ExpectBOM)
	default:
		if from = charset(contentType); from == nil {
			return body
		}
		if eightBit := from != utf16BE && from != utf16LE; eightBit && utf8.Valid(body) {
			return body
		}
	}
	text, err := from.NewDecoder().Bytes(body)
	if err != nil {
		return body
	}
	return text
}

var (
	utf16BE = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	utf16LE = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
)

// charset returns the encoding that a Content-Type names. It returns nil for UTF-8 and for an unknown
// encoding.
func charset(contentType string) encoding.Encoding {
	_, parameters, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil
	}
	switch strings.ToLower(parameters["charset"]) {
	case "iso-8859-1", "iso8859-1", "latin1", "windows-1252", "cp1252":
		return charmap.Windows1252 // Windows-1252 has all printable characters of ISO 8859-1, at the same codes
	case "iso-8859-15", "latin9":
		return charmap.ISO8859_15
	case "utf-16", "utf-16be":
		return utf16BE
	case "utf-16le":
		return utf16LE
	}
	return nil
}

// PHP prints a diagnostic as HTML or, with html_errors off, as one line of text. These patterns do
// not match a "Fatal error" or a "Parse error": the program ended there, so no reply follows.
const (
	levels     = `(?:Notice|Warning|Deprecated|Strict Standards)`
	htmlForm   = `(?:<br ?/?>\s*)?<b>` + levels + `</b>:[^\x00]{0,1000}? on line <b>[0-9]+</b>(?:<br ?/?>)?`
	textForm   = `(?:PHP )?` + levels + `: [^\r\n]{0,1000} on line [0-9]+(?:\r?\n|$)`
	diagnostic = `(?:` + htmlForm + `|` + textForm + `)`
)

var (
	leadingDiagnostic  = regexp.MustCompile(`^\s*` + diagnostic + `\s*`)
	trailingDiagnostic = regexp.MustCompile(`\s*` + diagnostic + `\s*$`)
)

// maxDiagnostic is the maximum length in bytes of a diagnostic before or after a reply.
const maxDiagnostic = 1200

// maxDiagnostics is how many diagnostics cutDiagnostics removes at each end of a reply.
const maxDiagnostics = 20

// cutDiagnostics removes PHP's diagnostics from the beginning and the end of a reply.
func cutDiagnostics(body []byte) []byte {
	for range maxDiagnostics {
		found := leadingDiagnostic.FindIndex(body[:min(len(body), maxDiagnostic)])
		if found == nil {
			break
		}
		body = body[found[1]:]
	}
	for range maxDiagnostics {
		end := max(0, len(body)-maxDiagnostic)
		if !bytes.Contains(body[end:], []byte(" on line ")) {
			break
		}
		found := trailingDiagnostic.FindIndex(body[end:])
		if found == nil {
			break
		}
		body = body[:end+found[0]]
	}
	return body
}
