package providertest

import "github.com/tuma-sms/tuma/providers"

// wrappedReplies checks that the provider understands an accepting reply to which a web server or
// PHP has added a byte order mark, white space, a charset, or PHP's diagnostics.
func wrappedReplies(x *exam) {
	b := x.newBatch(x.open("http://127.0.0.1:1"), 3)
	e, _ := x.realExchange(b)
	s := x.canned()
	p := x.open(s.url)
	const (
		notice  = "<br />\n<b>Notice</b>:  Undefined index: dlr in <b>/var/www/api.php</b> on line <b>27</b><br />\n"
		warning = "PHP Warning:  date(): It is not safe to rely on the system's timezone settings in /var/www/api.php on line 3\n"
	)
	for name, w := range map[string]struct{ header, before, after string }{
		"a byte order mark":                  {"", "\ufeff", ""},
		"two byte order marks":               {"", "\ufeff\ufeff", ""},
		"line ends":                          {"", "\r\n\r\n", "\r\n\n"},
		"the charset ISO-8859-1":             {"Content-Type: text/html; charset=ISO-8859-1\r\n", "", ""},
		"a charset in quotes":                {"Content-Type: application/json;charset=\"utf-8\"\r\n", "", "\n"},
		"a PHP notice before it":             {"Content-Type: text/html\r\n", notice, ""},
		"a PHP notice after it":              {"Content-Type: text/html\r\n", "", "\n" + notice},
		"two PHP diagnostics and line ends":  {"", warning + notice, "\n"},
		"a byte order mark and a PHP notice": {"", "\ufeff" + notice, ""},
	} {
		s.answer(reply(e.status, w.header, w.before+string(e.reply)+w.after))
		x.wantAll(x.send(p, b), providers.Accepted, "a reply with "+name)
	}
	utf16 := []byte{0xff, 0xfe}
	for _, c := range e.reply { // the reply is ASCII, so each byte is one UTF-16 code unit
		utf16 = append(utf16, c, 0)
	}
	s.answer(reply(e.status, "Content-Type: text/plain; charset=utf-16\r\n", string(utf16)))
	x.wantAll(x.send(p, b), providers.Accepted, "a reply in UTF-16")
}
