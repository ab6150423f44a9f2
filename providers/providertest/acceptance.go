package providertest

import (
	"slices"
	"strings"
	"sync"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

var acceptanceChecks = []check{
	{"accepts one recipient", func(x *exam) { acceptsAll(x, 1) }},
	{"accepts every recipient of a call", func(x *exam) { acceptsAll(x, 5) }},
	{"accepts the maximum number of recipients of a call", func(x *exam) { acceptsAll(x, 1<<30) }},
	{"refuses more recipients than a call may have, and sends no request", refusesTooMany},
	{"refuses a call without recipients, and sends no request", refusesNoRecipients},
	{"reports the recipients that the gateway rejects", func(x *exam) { answerForSome(x, simulator.Reject, providers.Rejected) }},
	{"reports the recipients that the gateway refuses for now", func(x *exam) { answerForSome(x, simulator.Later, providers.Retryable) }},
	{"a call that the gateway refuses for now counts as not sent", refusesForNow},
	{"a refused text does not count against the campaign or the account", refusesText},
	{"if every recipient is blacklisted, the recipients are rejected", blacklistsEverybody},
	{"a call repeated with the same key creates no message", repeatsByKey},
	{"texts arrive unchanged", textsArrive},
	{"accepts a call without a sender ID, if the sender ID is optional", sendsWithoutSender},
	{"accepts a flash batch, even if the gateway has no flash messages", takesFlash},
	{"fifty calls at once", fiftyAtOnce},
	{"fifty calls at once to a gateway that fails at random", fiftyBreaking},
}

func acceptsAll(x *exam, n int) {
	g := x.gateway()
	p := x.open(g.url)
	b := x.newBatch(p, n)
	a := x.send(p, b)
	x.wantAccepted(a)
	x.wantAcceptedOnly(g, b.To)
	if stats := g.Stats(); stats.Requests != 1 || stats.Calls != 1 {
		x.Errorf("got %d requests and %d calls, want 1 and 1", stats.Requests, stats.Calls)
	}
	want := simulator.AcceptedCall{From: b.From, Body: b.Body, Key: b.IdempotencyKey}
	if p.Info().KeyTTL == 0 {
		want.Key = ""
	}
	for _, number := range b.To {
		want.Numbers = append(want.Numbers, uint64(number))
	}
	if got := g.LastAccepted(); !slices.Equal(got.Numbers, want.Numbers) || got.From != want.From || got.Body != want.Body || got.Key != want.Key {
		x.Errorf("the gateway got sender %q, key %q, text %q and %d numbers; want %q, %q, %q and %d numbers in order",
			got.From, got.Key, got.Body, len(got.Numbers), want.From, want.Key, want.Body, len(want.Numbers))
	}
}

// wantAccepted fails unless every recipient is Accepted. If the kind has message IDs, every
// recipient must have a different ID.
func (x *exam) wantAccepted(a answer) {
	x.Helper()
	x.wantAll(a, providers.Accepted, "a call that the gateway accepts")
	ids := map[string]bool{}
	for _, r := range a.results {
		if r.MessageID != "" {
			ids[r.MessageID] = true
		}
	}
	want := 0
	if x.kind.MessageIDs {
		want = len(a.results)
	}
	if len(ids) != want {
		x.Errorf("got %d different IDs for %d messages, want %d", len(ids), len(a.results), want)
	}
}

// wantAcceptedOnly fails unless the gateway has accepted exactly one message for each of the given
// numbers, and no other messages.
func (x *exam) wantAcceptedOnly(g *gateway, numbers []sms.MSISDN) {
	x.Helper()
	want := map[uint64]bool{}
	for _, number := range numbers {
		want[uint64(number)] = true
	}
	for number, times := range g.AllAccepted() {
		if !want[number] || times != 1 {
			x.Errorf("%s: the gateway accepted %d messages (the call has this number: %v); want one message for each number of the call", sms.MSISDN(number).Masked(), times, want[number])
		}
		delete(want, number)
	}
	if len(want) > 0 {
		x.Errorf("the gateway accepted no message for %d recipients, want one for each", len(want))
	}
}

func refusesTooMany(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	x.wantNoCall(g, p, batch(x.numbers(p.Info().MaxRecipients+1)))
	lowered := x.open(g.url, func(s *providers.Settings) { s.MaxRecipients = 1 })
	if n := lowered.Info().MaxRecipients; n != 1 {
		x.Errorf("max_recipients 1: got MaxRecipients %d, want 1", n)
	}
	x.wantNoCall(g, lowered, batch(x.numbers(2)))
}

func refusesNoRecipients(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	x.wantNoCall(g, p, batch(nil))
	x.wantNoCall(g, p, batch([]sms.MSISDN{}))
}

func (x *exam) wantNoCall(g *gateway, p providers.Provider, b providers.Batch) {
	x.Helper()
	a := x.send(p, b)
	x.wantError(a, providers.Rejected, providers.Campaign, providers.CauseRefused, "a batch with too many recipients or with none")
	x.wantSeen(int64(len(g.exchanges())), 0, "a batch with too many recipients or with none")
}

// answerForSome makes the gateway return the reply "word" for some numbers, and checks the results of all
// numbers.
func answerForSome(x *exam, word simulator.Reply, want providers.Outcome) {
	g := x.gateway()
	p := x.open(g.url)
	to := x.numbers(min(6, max(2, p.Info().MaxRecipients)))
	reach := g.ReplyScope(word)
	if reach == simulator.ScopeNone {
		return // the vendor does not have this answer
	}
	marked := map[sms.MSISDN]bool{to[0]: true, to[len(to)-2]: true}
	for number := range marked {
		if err := g.SetReply(word, uint64(number)); err != nil {
			x.Fatalf("%v", err)
		}
	}
	var taken []sms.MSISDN
	for part := range slices.Chunk(to, p.Info().MaxRecipients) {
		a := x.send(p, batch(part))
		struck := slices.ContainsFunc(part, func(n sms.MSISDN) bool { return marked[n] })
		for i, number := range part {
			got := a.verdict(i)
			switch {
			case reach == simulator.ScopeNumber && !marked[number], reach == simulator.ScopeCall && !struck:
				taken = append(taken, number)
				if got.Outcome != providers.Accepted {
					x.Errorf("a number for which the gateway has no injected reply: got %+v, want accepted", got)
				}
			case got.Outcome != want:
				x.Errorf("the gateway replies %q (reply scope %d): got %+[4]v, want %[3]v", word, reach, want, got)
			case got.Code == "" || a.err == nil && got.Reason == "":
				x.Errorf("got the outcome %v, but the reason or the code is missing; want a reason and a code: %+v", want, got)
			case reach == simulator.ScopeNumber && a.err == nil && got.Scope != providers.Recipient:
				x.Errorf("the gateway refuses one number: got scope %v, want the scope recipient: %+v", got.Scope, got)
			}
		}
		if reach == simulator.ScopeCall && struck && a.err == nil && len(part) > 1 {
			x.Errorf("the gateway refuses the whole call: got %v, want an error", a)
		}
	}
	x.wantAcceptedOnly(g, taken)
}

// refusesForNow makes the gateway answer that it has not taken a call and that the call may be sent
// later. A gateway without such an answer must accept the call.
func refusesForNow(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	if err := g.server.Fail(simulator.Fault{Name: "later", Gateway: x.kind.Name, N: 1}); err != nil {
		x.Fatalf("%v", err)
	}
	b := x.newBatch(p, 3)
	a := x.send(p, b)
	if g.Stats().Faults == 0 {
		x.wantAll(a, providers.Accepted, "a gateway that cannot refuse a call for now")
		return
	}
	x.wantAll(a, providers.Retryable, "a call that the gateway refuses for now")
	x.wantAcceptedOnly(g, nil)
	x.wantAll(x.send(p, batch(b.To)), providers.Accepted, "the next call")
	x.wantAcceptedOnly(g, b.To)
}

// refusesText checks the answer of a gateway that refuses a text. Each recipient of a campaign with merge
// fields gets a separate text, so the answer must not count for the campaign or the account.
func refusesText(x *exam) {
	for _, n := range []int{1, 3} {
		g := x.gateway()
		p := x.open(g.url)
		b := x.newBatch(p, n)
		if !x.sendWithFault(g, p, b, simulator.FaultText, func(v providers.Result) bool {
			return v.Outcome == providers.Rejected && (v.Scope == providers.Recipient || v.Scope == providers.Text)
		}, "rejected with the scope recipient or text") {
			return
		}
	}
}

// blacklistsEverybody checks the answer of a gateway whose blacklist has every recipient of a call. The worker
// decides whether the sender ID or the recipients are the cause. For this decision the worker needs one result
// for each recipient, with providers.ReasonBlacklisted. If the gateway gives one answer for several
// recipients, its scope must be the call. Then the worker divides the call until each part has one recipient.
func blacklistsEverybody(x *exam) {
	for _, n := range []int{1, 5} {
		g := x.gateway()
		p := x.open(g.url)
		b := x.newBatch(p, n)
		if !x.sendWithFault(g, p, b, simulator.FaultBlacklist, func(v providers.Result) bool {
			undivided := n > 1 && v.Scope == providers.Call
			return v.Outcome == providers.Rejected && (undivided || v.Scope == providers.Recipient && v.Reason == providers.ReasonBlacklisted)
		}, "rejected, either with the scope recipient and the reason blacklisted, or with the scope call if the call has several recipients") {
			return
		}
	}
}

// sendWithFault sends the call b once with the fault and once without it. The function isRight checks a
// recipient's result with the fault. The text "want" describes the correct result. sendWithFault returns false if
// the vendor does not have this fault.
func (x *exam) sendWithFault(g *gateway, p providers.Provider, b providers.Batch, fault string, isRight func(providers.Result) bool, want string) bool {
	x.Helper()
	if err := g.server.Fail(simulator.Fault{Name: fault, Gateway: x.kind.Name, N: 1}); err != nil {
		x.Fatalf("%v", err)
	}
	a := x.send(p, b)
	if g.Stats().Faults == 0 {
		x.wantAll(a, providers.Accepted, "a gateway that has no answer for the fault "+fault)
		return false
	}
	for i := range b.To {
		if !isRight(a.verdict(i)) {
			x.Errorf("the gateway's answer for %s: got %v, want %s", fault, a, want)
		}
	}
	x.wantAcceptedOnly(g, nil)
	x.wantAll(x.send(p, batch(b.To)), providers.Accepted, "the next call")
	return true
}

func repeatsByKey(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	b := x.newBatch(p, 3)
	first := x.send(p, b)
	if p.Info().KeyTTL == 0 {
		b.IdempotencyKey = "" // the gateway has no keys, so the provider must not require one
		b.To = x.numbers(len(b.To))
		x.wantAll(x.send(p, b), providers.Accepted, "a call without a key")
		return
	}
	keyless := batch(x.numbers(1))
	keyless.IdempotencyKey = ""
	x.wantError(x.send(p, keyless), providers.Rejected, providers.Campaign, providers.CauseRefused, "a call without an idempotency key, at a gateway that requires a key")
	second := x.send(p, b)
	x.wantAccepted(second)
	for i := range second.results {
		if first.results[i].MessageID != second.results[i].MessageID {
			x.Errorf("got %v, then %v for the same call; want the same IDs", first, second)
		}
	}
	x.wantAcceptedOnly(g, b.To)
	x.wantSeen(int64(len(g.exchanges())), 2, "a call with a key, then a call without a key, then the first call again")
	if stats := g.Stats(); stats.Replays != 1 || stats.Conflicts != 0 {
		x.Errorf("the gateway got %d calls with a known key, and %d of them had other content; want 1 and 0", stats.Replays, stats.Conflicts)
	}
}

func textsArrive(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	for _, body := range []string{
		marker,
		marker + " 1+1=2; 5% & é = #1\nè à {[~]} € @ £ _ \\ | ^ +", // GSM-7
		marker + " + % & é € 漢 😀 = ; #\nnew line\tand tab",         // UCS-2
		"%2B%20" + marker + "&to=1&msg=2 %",                        // a text that looks already escaped
		"+" + marker + "+",
		strings.Repeat("é", 60) + marker,
	} {
		b := x.newBatch(p, 1)
		b.Body = body
		x.wantAll(x.send(p, b), providers.Accepted, "a text with special characters")
		if got := g.LastAccepted(); got.Body != body || got.From != sender {
			x.Errorf("sent text %q from %q, the gateway got %q from %q; want the same", body, sender, got.Body, got.From)
		}
	}
}

func sendsWithoutSender(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	b := x.newBatch(p, 2)
	b.From = ""
	a := x.send(p, b)
	if p.Info().SenderOptional {
		x.wantAll(a, providers.Accepted, "no sender ID")
		return
	}
	x.wantNoneAccepted(a, "a call without the required sender ID")
	if a.count(providers.Rejected) != len(b.To) {
		x.Errorf("a call without the required sender ID: got %v, want rejected", a)
	}
}

func takesFlash(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	b := x.newBatch(p, 2)
	b.Flash = true
	x.wantAccepted(x.send(p, b))
	x.wantAcceptedOnly(g, b.To)
}

// sendFifty makes fifty calls at once. No number is in more than one call.
func (x *exam) sendFifty(p providers.Provider) []answer {
	answers := make([]answer, 50)
	var wg sync.WaitGroup
	for i := range answers {
		b := x.newBatch(p, 3)
		wg.Go(func() { answers[i] = x.send(p, b) })
	}
	wg.Wait()
	return answers
}

func fiftyAtOnce(x *exam) {
	g := x.gateway()
	var all []sms.MSISDN
	ids := map[string]bool{}
	for _, a := range x.sendFifty(x.open(g.url)) {
		all = append(all, a.to...)
		x.wantAccepted(a)
		for _, r := range a.results {
			if r.MessageID != "" && ids[r.MessageID] {
				x.Errorf("two messages have the same ID, want different IDs")
			}
			ids[r.MessageID] = true
		}
	}
	x.wantAcceptedOnly(g, all)
}

// fiftyBreaking makes fifty calls to a gateway that fails in different ways. It checks that every
// reported outcome agrees with the messages that the gateway has accepted.
func fiftyBreaking(x *exam) {
	g := x.gateway()
	for _, name := range []string{"accept_close", "close", "accept_502", "429", "accept_html", "cut", "later"} {
		if err := g.server.Fail(simulator.Fault{Name: name, Gateway: x.kind.Name, P: 0.1}); err != nil {
			x.Fatalf("%v", err)
		}
	}
	for _, a := range x.sendFifty(x.open(g.url)) {
		for i, number := range a.to {
			times, o := g.Accepted(uint64(number)), a.verdict(i).Outcome
			if times > 1 || o == providers.Accepted && times != 1 || (o == providers.Rejected || o == providers.Retryable) && times != 0 {
				x.Errorf("outcome %v contradicts the gateway, which accepted %d messages: %v", o, times, a)
			}
		}
	}
	x.wantSeen(int64(len(g.exchanges())), 50, "fifty calls")
}
