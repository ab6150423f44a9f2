package providertest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

var replyChecks = []check{
	{"replies without a result", emptyReplies},
	{"replies of ten megabytes", hugeReplies},
	{"a reply that repeats the request", echo},
	{"a reply cut anywhere", cutReplies},
	{"a reply with bytes changed", changedReplies},
	{"a refusal cut anywhere", cutRefusals},
	{"a reply that is repeated", twice},
	{"a reply in another order", shuffledReply},
	{"a reply without one recipient", missingReply},
	{"a reply with an extra recipient", extraReply},
	{"a reply for other recipients", otherRecipientsReply},
	{"a reply with additions of the web server", wrappedReplies},
	{"the sandbox breaks its replies", brokenReplies},
}

func emptyReplies(x *exam) {
	s := x.canned()
	p := x.open(s.url)
	b := x.newBatch(p, 3)
	for _, body := range []string{
		"", " ", "\n", "\x00", "\ufeff", `{}`, `[]`, `[{}]`, `[[]]`, `[null]`, `null`, `true`, `{`, `}`, `[`, `"`, `""`, `'`, `,`, `,,`, `~`, `<`,
		"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body>Back soon</body></html>",
		`<?xml version="1.0"?><error/>`, `{"error":"maintenance"}`, `{"status":"ok"}`, "OK", "success", "error", "error_nobody_knows",
		strings.Repeat("[", 10_000), strings.Repeat(`{"a":`, 10_000), "\xff\xfe\xfd", "1e999", "NaN",
	} {
		s.answer(reply(200, "", body))
		x.wantAll(x.send(p, b), providers.Unknown, fmt.Sprintf("status 200 with %.30q", body))
	}
}

func hugeReplies(x *exam) {
	s := x.canned()
	p := x.open(s.url)
	b := x.newBatch(p, 3)
	for _, text := range hugeTexts() {
		s.text.Store(&text)
		x.wantAll(x.send(p, b), providers.Unknown, fmt.Sprintf("a reply of ten megabytes, %q…", text[:100]))
	}
}

// hugeTexts returns large replies, with a Content-Length and without one. The replies are built only once.
var hugeTexts = sync.OnceValue(func() (texts [][]byte) {
	const size = 10 << 20
	for _, body := range []string{strings.Repeat(" ", size), strings.Repeat("0", size), `"` + strings.Repeat("a", size) + `"`} {
		texts = append(texts, []byte(reply(200, "", body)), []byte("HTTP/1.1 200 OK\r\n"+closing+"\r\n"+body))
	}
	return texts
})

// echo answers each request with the request's own body. That body contains the numbers, the text and
// the login. No recipient may be Accepted.
func echo(x *exam) {
	var status atomic.Int64
	s := x.serve(func(c *conn) {
		for body, ok := c.request(); ok; body, ok = c.request() {
			c.say(reply(int(status.Load()), "X-Asked: "+strings.ReplaceAll(body, "\n", " ")+"\r\n", body))
		}
	})
	p := x.open(s.url)
	b := x.newBatch(p, 3)
	for _, code := range []int64{200, 201, 400, 401, 429, 500} {
		status.Store(code)
		a := x.send(p, b)
		x.wantNoneAccepted(a, "a reply that repeats the request")
		if code < 300 {
			x.wantAll(a, providers.Unknown, "a reply that repeats the request")
		}
	}
}

// The function "names" reports whether the reply contains the number, without other digits next to the number.
func names(reply []byte, number sms.MSISDN) bool {
	digits := []byte(number.String())
	digit := func(i int) bool { return i >= 0 && i < len(reply) && '0' <= reply[i] && reply[i] <= '9' }
	for from := 0; ; {
		at := bytes.Index(reply[from:], digits)
		if at < 0 {
			return false
		}
		at += from
		if !digit(at-1) && !digit(at+len(digits)) {
			return true
		}
		from = at + 1
	}
}

// namesAll reports whether the reply contains all the numbers. A reply that contains them shows
// that the gateway's replies name their recipients.
func namesAll(reply []byte, numbers []sms.MSISDN) bool {
	for _, number := range numbers {
		if !names(reply, number) {
			return false
		}
	}
	return true
}

// wantSupportedBy fails unless the reply contains the evidence for every result. The parameter
// "named" is true if the gateway's replies name recipients. If it is true, the reply must name
// every recipient whose outcome is not Unknown. In any case, the reply must contain the message
// ID of every Accepted recipient.
func (x *exam) wantSupportedBy(a answer, reply []byte, named bool, when string) {
	x.Helper()
	for i, number := range a.to {
		v := a.verdict(i)
		switch {
		case v.Outcome == providers.Unknown, a.err != nil:
		case named && !names(reply, number):
			x.Errorf("%s: got outcome %v for a recipient that the reply does not name, want unknown", when, v.Outcome)
		case v.Outcome == providers.Accepted && !hasID(reply, v.MessageID):
			x.Errorf("%s: got a message ID that is not in the reply, want one from the reply", when)
		}
	}
}

func cutReplies(x *exam) {
	p := x.open("http://127.0.0.1:1")
	b := x.newBatch(p, 4)
	e, _ := x.realExchange(b)
	named := namesAll(e.reply, b.To)
	x.eachCut(e, b, 300, func(a answer, part []byte, when string) {
		x.wantSupportedBy(a, part, named, when)
		if accepted := a.count(providers.Accepted); accepted+a.count(providers.Unknown) != len(b.To) || len(part) == 0 && accepted > 0 {
			x.Errorf("the first %s of the reply to an accepted call: got %v, want every recipient accepted or unknown", when, a)
		}
	})
}

// eachCut sends the batch b about as many times as the parameter "attempts" says. The server returns only the
// beginning of the reply in e, each time with a few bytes more. eachCut passes each answer to checkPart.
func (x *exam) eachCut(e exchange, b providers.Batch, attempts int, checkPart func(a answer, part []byte, when string)) {
	s := x.canned()
	p := x.open(s.url)
	step := 1 + len(e.reply)/attempts
	for n := 0; n < len(e.reply); n += step {
		s.answer(e.raw(e.reply[:n]))
		checkPart(x.send(p, b), e.reply[:n], fmt.Sprintf("%d of %d bytes", n, len(e.reply)))
	}
}

// cutRefusals takes replies that refuse a call or some of its recipients, and cuts them short. After a
// cut reply, each recipient must be Unknown or have the same result as after the complete reply.
func cutRefusals(x *exam) {
	for name, refuse := range refusals(x) {
		b, whole, e, ok := x.refusedExchange(name, refuse, 4)
		if !ok {
			continue
		}
		// If the reply is a list without phone numbers, its beginning can look like a complete reply to the whole
		// call. The provider cannot see the difference.
		positions := whole.err == nil && len(b.To) > 1 && !namesAll(e.reply, b.To)
		x.eachCut(e, b, 100, func(a answer, part []byte, when string) {
			for i := range b.To {
				got, want := a.verdict(i), whole.verdict(i)
				if got.Outcome == providers.Unknown || positions && a.err != nil {
					continue
				}
				if got.Outcome != want.Outcome || got.Scope != want.Scope {
					x.Errorf("%s, cut to %s: got outcome %v and scope %v, want outcome %v and scope %v as for the complete reply, or the outcome unknown; the cut reply is %.100q", name, when, got.Outcome, got.Scope, want.Outcome, want.Scope, part)
				}
			}
		})
	}
}

// refusals returns functions that make a gateway refuse the call b or some of its recipients. A function returns
// an error if the vendor's API does not have this kind of refusal.
func refusals(x *exam) map[string]func(g *gateway, b providers.Batch) error {
	return map[string]func(g *gateway, b providers.Batch) error{
		"rejected": func(g *gateway, b providers.Batch) error {
			return g.SetReply(simulator.Reject, uint64(b.To[0]), uint64(b.To[len(b.To)-1]))
		},
		"put off": func(g *gateway, b providers.Batch) error {
			return g.SetReply(simulator.Later, uint64(b.To[0]), uint64(b.To[len(b.To)-1]))
		},
		"the gateway refuses the whole call for now": func(g *gateway, _ providers.Batch) error {
			return g.server.Fail(simulator.Fault{Name: "later", Gateway: x.kind.Name, N: 1})
		},
		"no credit":      func(g *gateway, _ providers.Batch) error { g.SetCredit(0); return nil },
		"wrong password": func(g *gateway, _ providers.Batch) error { g.server.SetPassword(user, wrongSecret); return nil },
	}
}

// The check "twice" uses a reply that contains the text of an accepting reply two times. The provider must report
// each recipient as Accepted or Unknown.
func twice(x *exam) {
	p := x.open("http://127.0.0.1:1")
	b := x.newBatch(p, 4)
	e, there := x.realExchange(b)
	s := x.canned()
	p = x.open(s.url)
	for _, between := range []string{"", " ", "\n", ",", "~", ";"} {
		both := slices.Concat(e.reply, []byte(between), e.reply)
		s.answer(e.raw(both))
		a := x.send(p, b)
		x.wantSupportedBy(a, both, namesAll(e.reply, b.To), "twice")
		x.wantSameIDs(a, there, "twice")
		if a.count(providers.Accepted)+a.count(providers.Unknown) != len(b.To) {
			x.Errorf("a reply with the text of an accepting reply twice: got %v, want accepted or unknown", a)
		}
	}
}

func changedReplies(x *exam) {
	p := x.open("http://127.0.0.1:1")
	b := x.newBatch(p, 4)
	e, _ := x.realExchange(b)
	named := namesAll(e.reply, b.To)
	s := x.canned()
	p = x.open(s.url)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		changed := bytes.Clone(e.reply)
		for range 1 + rng.IntN(3) {
			changed = change(rng, changed)
		}
		s.answer(e.raw(changed))
		x.wantSupportedBy(x.send(p, b), changed, named, fmt.Sprintf("%.200q", changed))
	}
}

// The function "change" replaces, removes or repeats a random byte of the text, or exchanges two bytes.
func change(rng *rand.Rand, text []byte) []byte {
	const signs = "\"',:;{}[]<>~\\/ \n\x000123456789-+.eE\xff"
	if len(text) == 0 {
		return text
	}
	i, j := rng.IntN(len(text)), rng.IntN(len(text))
	switch rng.IntN(5) {
	case 0:
		text[i] = byte(rng.UintN(256))
	case 1:
		text[i] = signs[rng.IntN(len(signs))]
	case 2:
		text = append(text[:i], text[i+1:]...)
	case 3:
		text = append(text[:i+1], text[i:]...)
	case 4:
		text[i], text[j] = text[j], text[i]
	}
	return text
}

// sendWithReplyTo makes two calls. The gateway answers the call to the recipients in the list "first". The call
// to the recipients in the list "second" gets the same reply. sendWithReplyTo returns this reply, and the
// provider's answers for both calls.
func (x *exam) sendWithReplyTo(first, second []sms.MSISDN) (reply []byte, firstAnswer, secondAnswer answer) {
	x.Helper()
	e, firstAnswer := x.realExchange(batch(first))
	s := x.canned()
	s.answer(e.raw(e.reply))
	return e.reply, firstAnswer, x.send(x.open(s.url), batch(second))
}

// someNumbers returns up to five new numbers for one call.
func (x *exam) someNumbers() []sms.MSISDN {
	p := x.open("http://127.0.0.1:1")
	return x.numbers(min(5, p.Info().MaxRecipients))
}

func shuffledReply(x *exam) {
	to := x.someNumbers()
	backwards := make([]sms.MSISDN, len(to))
	for i, number := range to {
		backwards[len(to)-1-i] = number
	}
	reply, there, here := x.sendWithReplyTo(backwards, to)
	if !namesAll(reply, to) {
		return // this provider matches results only by position
	}
	x.wantAll(here, providers.Accepted, "another order")
	x.wantSameIDs(here, there, "another order")
}

func missingReply(x *exam) {
	to := x.someNumbers()
	if len(to) < 2 {
		return
	}
	for left := range to {
		answered := append(append([]sms.MSISDN{}, to[:left]...), to[left+1:]...)
		reply, there, here := x.sendWithReplyTo(answered, to)
		named := namesAll(reply, answered)
		x.wantSupportedBy(here, reply, named, "one recipient is not in the reply")
		if here.verdict(left).Outcome != providers.Unknown {
			x.Errorf("one recipient is not in the reply: got %v, want the outcome unknown for this recipient", here)
		}
		if hasIDs := there.results[0].MessageID != ""; !named && hasIDs {
			x.wantAll(here, providers.Unknown, "a reply that has fewer message IDs than the call has recipients, and no phone numbers")
		}
		x.wantSameIDs(here, there, "one recipient is not in the reply")
	}
}

// wantSameIDs fails unless each Accepted recipient of the answer "repeated" has the same message ID as in the
// answer "original".
func (x *exam) wantSameIDs(repeated, original answer, when string) {
	x.Helper()
	ids := map[sms.MSISDN]string{}
	for i, number := range original.to {
		ids[number] = original.results[i].MessageID
	}
	for i, number := range repeated.to {
		if v := repeated.verdict(i); v.Outcome == providers.Accepted && v.MessageID != ids[number] {
			x.Errorf("%s: the second answer has another message ID for a recipient than the first answer, want the same ID", when)
		}
	}
}

func extraReply(x *exam) {
	to := x.someNumbers()
	if len(to) < 2 {
		return
	}
	asked := to[1:]
	reply, there, here := x.sendWithReplyTo(to, asked)
	x.wantSameIDs(here, there, "an extra recipient in the reply")
	switch accepted := here.count(providers.Accepted); {
	case accepted+here.count(providers.Unknown) != len(asked), accepted > 0 && accepted < len(asked):
		x.Errorf("an extra recipient in the reply: got %v, want all accepted or all unknown", here)
	case accepted > 0 && !namesAll(reply, to) && there.results[0].MessageID != "":
		x.Errorf("a reply with more IDs than recipients, without numbers: got accepted, want unknown")
	}
}

func otherRecipientsReply(x *exam) {
	to := x.someNumbers()
	reply, _, here := x.sendWithReplyTo(to, x.numbers(len(to)))
	if namesAll(reply, to) {
		x.wantAll(here, providers.Unknown, "a reply for other recipients")
	}
}

// brokenReplies checks the provider's results after the sandbox has sent a deliberately broken reply.
func brokenReplies(x *exam) {
	to := x.someNumbers()
	e, _ := x.realExchange(batch(to))
	named := namesAll(e.reply, to)
	for _, name := range []string{"missing", "extra", "shuffled", "cut", "html", "accept_close", "accept_html", "accept_502", "close", "502"} {
		g := x.gateway()
		p := x.open(g.url)
		b := x.newBatch(p, 4)
		if err := g.server.Fail(simulator.Fault{Name: name, Gateway: x.kind.Name, N: 1}); err != nil {
			x.Fatalf("%v", err)
		}
		a := x.send(p, b)
		tape := g.exchanges()
		x.wantSeen(int64(len(tape)), 1, "fault "+name)
		switch reply := tape[0].reply; name {
		case "missing", "extra", "shuffled":
			x.wantAcceptedOnly(g, b.To)
			x.wantSupportedBy(a, reply, named, "fault "+name)
			if a.count(providers.Accepted)+a.count(providers.Unknown) != len(b.To) {
				x.Errorf("fault %s: got %v, want accepted or unknown", name, a)
			}
		default:
			x.wantAll(a, providers.Unknown, "fault "+name)
		}
		x.wantSeen(int64(len(g.exchanges())), 1, "fault "+name)
	}
}

// refusedExchange sends a call to n recipients through a gateway that refuses it. It returns the call,
// the provider's answer, and the request with the gateway's reply. The result "ok" is false if the
// vendor's API does not have this kind of refusal.
func (x *exam) refusedExchange(name string, refuse func(g *gateway, b providers.Batch) error, n int) (b providers.Batch, whole answer, e exchange, ok bool) {
	x.Helper()
	g := x.gateway()
	p := x.open(g.url)
	b = x.newBatch(p, n)
	if err := refuse(g, b); err != nil {
		return b, whole, e, false
	}
	whole = x.send(p, b)
	tape := g.exchanges()
	if len(tape) != 1 {
		x.Fatalf("%s: got %d requests, want 1", name, len(tape))
	}
	return b, whole, tape[0], true
}
