package kobo

import (
	"strconv"

	"github.com/tuma-sms/tuma/providers"
)

// sendForm builds the form of a send in one buffer of its own: the transport may
// read it after the call has returned, so it is never used again.
func sendForm(login providers.Secret, b providers.Batch) []byte {
	const (
		perNumber = 15 + len("%2C") // the longest number E.164 allows
		perByte   = len("%2C")
		names     = len("&from=&to=&msg=&type=0&enable_msg_id=1&message_uuid=")
	)
	form := make([]byte, 0, len(login)+names+perByte*(len(b.From)+len(b.Body)+len(b.Key))+perNumber*len(b.To))
	form = append(form, login.Reveal()...)
	form = append(form, "&from="...)
	form = appendEscaped(form, b.From)
	form = append(form, "&to="...)
	for i, number := range b.To {
		if i > 0 {
			form = append(form, "%2C"...)
		}
		form = strconv.AppendUint(form, uint64(number), 10)
	}
	form = append(form, "&msg="...)
	form = appendEscaped(form, b.Body)
	form = append(form, "&type="...)
	form = append(form, messageType(b))
	form = append(form, "&enable_msg_id=1&message_uuid="...)
	return appendEscaped(form, b.Key)
}

// loginForm builds the fields that every request has.
func loginForm(user string, pass providers.Secret) providers.Secret {
	form := appendEscaped([]byte("user="), user)
	form = append(form, "&pass="...)
	return providers.Secret(appendEscaped(form, pass.Reveal()))
}

// reportForm builds the form that asks for one message.
func reportForm(login providers.Secret, messageID string) []byte {
	return appendEscaped([]byte(login.Reveal()+"&msgid="), messageID)
}

// appendEscaped appends s as a form's value: what url.QueryEscape returns, without
// a string in between.
func appendEscaped(dst []byte, s string) []byte {
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
