package kobo

import (
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// sendForm builds the form of a send in one new buffer. The buffer must not be reused, because the
// HTTP transport may still read it after the call has returned.
func sendForm(login providers.Secret, b providers.Batch) []byte {
	const names = len("&from=&to=&msg=&type=0&enable_msg_id=1&message_uuid=")
	form := make([]byte, 0, httpclient.FormSize(len(login)+names, b.To, b.From, b.Body, b.IdempotencyKey))
	form = append(form, login.Reveal()...)
	form = httpclient.AppendField(form, "from", b.From)
	form = httpclient.AppendNumbers(form, "to", "", b.To)
	form = httpclient.AppendField(form, "msg", b.Body)
	form = httpclient.AppendField(form, "type", messageType(b))
	form = httpclient.AppendField(form, "enable_msg_id", "1")
	return httpclient.AppendField(form, "message_uuid", b.IdempotencyKey)
}

// loginForm returns the encoded login, with which every form begins.
func loginForm(user string, pass providers.Secret) providers.Secret {
	return providers.Secret(httpclient.AppendField(httpclient.AppendField(nil, "user", user), "pass", pass.Reveal()))
}
