package providers

import (
	"context"
	"strconv"

	"github.com/tuma-sms/tuma/sms"
)

// PostForm puts a form to a gateway whose errors come in the body of a 2xx, like Call.
func (c *Client) PostForm(ctx context.Context, op, path string, form []byte) (*Reply, error) {
	return c.Call(ctx, Request{Op: op, Path: path, ContentType: FormContentType, Body: form, ErrorsInBody: true})
}

// AppendField appends name=value to an application/x-www-form-urlencoded form,
// with an & before it unless the form is empty. The name is written as it is.
func AppendField(form []byte, name, value string) []byte {
	return AppendEscaped(appendName(form, name), value)
}

// AppendNumbers appends name=number,number,… to a form, each number in
// international form behind prefix ("" or "+").
func AppendNumbers(form []byte, name, prefix string, to []sms.MSISDN) []byte {
	form = appendName(form, name)
	for i, number := range to {
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

// AppendEscaped appends s as a form's value: what url.QueryEscape returns, without
// a string in between.
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

// FormSize is room enough for a form of a send, so that it is built in one buffer:
// fixed bytes for names and small fields, the texts at their longest, the numbers.
func FormSize(fixed int, to []sms.MSISDN, texts ...string) int {
	const (
		perNumber = 15 + len("%2C%2B") // the longest number E.164 allows
		perByte   = len("%2C")
	)
	for _, text := range texts {
		fixed += perByte * len(text)
	}
	return fixed + perNumber*len(to)
}
