package httpclient

import (
	"context"
	"strconv"

	"github.com/tuma-sms/tuma/sms"
)

// PostForm sends an encoded form by POST, like Call. Use PostForm for gateways that report errors
// in the body of an HTTP 2xx (Request.ErrorsInBody). The parameters "op" and "path" are the
// fields Op and Path of Request.
func (c *Client) PostForm(ctx context.Context, op, path string, form []byte) (*Reply, error) {
	return c.Call(ctx, Request{Op: op, Path: path, ContentType: FormContentType, Body: form, ErrorsInBody: true})
}

// SendForm sends an encoded form by POST, like Do, and returns the reply with any status. Use
// SendForm for sends of gateways that report errors in the body of an HTTP 2xx, and use
// Reply.Results for the reply. The parameters "op" and "path" are the fields Op and Path of
// Request.
func (c *Client) SendForm(ctx context.Context, op, path string, form []byte) (*Reply, error) {
	return c.Do(ctx, Request{Op: op, Path: path, ContentType: FormContentType, Body: form, ErrorsInBody: true})
}

// AppendField appends name=value to an application/x-www-form-urlencoded form, with an & before the
// name unless the form is empty. AppendField escapes the value, but not the name.
func AppendField(form []byte, name, value string) []byte {
	return AppendEscaped(appendName(form, name), value)
}

// AppendNumbers appends name=number,number,… to a form, with escaped commas. Each number is in
// international form, after the parameter "prefix", which is "" or "+".
func AppendNumbers(form []byte, name, prefix string, numbers []sms.MSISDN) []byte {
	form = appendName(form, name)
	for i, number := range numbers {
		if i > 0 {
			form = append(form, "%2C"...)
		}
		form = AppendEscaped(form, prefix)
		form = strconv.AppendUint(form, uint64(number), 10)
	}
	return form
}

func appendName(form []byte, name string) []byte {
	if len(form) > 0 {
		form = append(form, '&')
	}
	return append(append(form, name...), '=')
}

// AppendEscaped appends s to dst, escaped as a form value. It escapes like url.QueryEscape, but
// without that function's allocations.
func AppendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == '~':
			dst = append(dst, c)
		case c == ' ':
			dst = append(dst, '+')
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}

// FormSize returns a capacity in bytes that is large enough for a form, so that the form is built
// in one buffer. The parameter "fixed" is the size of the names and small fields. FormSize
// assumes that every byte of the texts must be escaped, and that every phone number has the
// maximum length.
func FormSize(fixed int, numbers []sms.MSISDN, texts ...string) int {
	const (
		perNumber = 15 + len("%2C%2B") // E.164 allows at most 15 digits
		perByte   = len("%2C")
	)
	for _, text := range texts {
		fixed += perByte * len(text)
	}
	return fixed + perNumber*len(numbers)
}
