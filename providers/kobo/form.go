package kobo

import "github.com/tuma-sms/tuma/providers"

// sendForm builds the form of a send in one new buffer. The buffer must not be reused, because the
// HTTP transport may still read it after the call has returned.
func sendForm(login providers.Secret, b providers.Batch) []byte {
	const names = len("&from=&to=&msg=&type=0&enable_msg_id=1&message_uuid=")
	form := make([]byte, 0, providers.FormSize(len(login)+names, b.To, b.From, b.Body, b.IdempotencyKey))
	form = append(form, login.Reveal()...)
	form = providers.AppendField(form, "from", b.From)
	form = providers.AppendNumbers(form, "to", "", b.To)
	form = providers.AppendField(form, "msg", b.Body)
	form = providers.AppendField(form, "type", messageType(b))
	form = providers.AppendField(form, "enable_msg_id", "1")
	return providers.AppendField(form, "message_uuid", b.IdempotencyKey)
}

// loginForm returns the encoded login, with which every form begins.
func loginForm(user string, pass providers.Secret) providers.Secret {
	return providers.Secret(providers.AppendField(providers.AppendField(nil, "user", user), "pass", pass.Reveal()))
}
