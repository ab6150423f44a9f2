package providertest

import (
	"slices"
	"strings"
	"sync"

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

var acceptanceChecks = []check{
	{"accepts one recipient", func(x *exam) { acceptsAll(x, 1) }},
	{"accepts every recipient of a call", func(x *exam) { acceptsAll(x, 5) }},
	{"accepts the most a call may carry", func(x *exam) { acceptsAll(x, 1<<30) }},
	{"refuses more than a call may carry without a request", refusesTooMany},
	{"refuses a call to nobody without a request", refusesNoRecipients},
	{"tells whom the gateway rejects", func(x *exam) { answerForSome(x, sandbox.Reject, providers.Rejected) }},
	{"tells whom the gateway puts off", func(x *exam) { answerForSome(x, sandbox.Later, providers.Retryable) }},
	{"a call that the gateway puts off is not sent", refusesForNow},
	{"the same key again is the same call", repeatsByKey},
	{"texts arrive unchanged", textsArrive},
	{"sends without a sender where that is allowed", sendsWithoutSender},
	{"a flash message is taken, or sent as any other", takesFlash},
	{"fifty calls at once", fiftyAtOnce},
	{"fifty calls at once while the gateway breaks", fiftyBreaking},
}

func acceptsAll(x *exam, n int) {
	g := x.gateway()
	p := x.open(g.url)
	b := x.newBatch(p, n)
	a := x.send(p, b)
	x.wantAccepted(a)
	x.wantAcceptedOnly(g, b.To)
	if stats := g.Stats(); stats.Requests != 1 || stats.Calls != 1 {
		x.Errorf("%d requests, %d calls, want one", stats.Requests, stats.Calls)
	}
	want := sandbox.Taken{From: b.From, Body: b.Body, Key: b.IdempotencyKey}
	if p.Info().KeyTTL == 0 {
		want.Key = ""
	}
	for _, number := range b.To {
		want.Numbers = append(want.Numbers, uint64(number))
	}
	if got := g.Last(); !slices.Equal(got.Numbers, want.Numbers) || got.From != want.From || got.Body != want.Body || got.Key != want.Key {
		x.Errorf("the gateway has understood from %q, key %q, text %q, %d numbers; want %q, %q, %q, %d in that order",
			got.From, got.Key, got.Body, len(got.Numbers), want.From, want.Key, want.Body, len(want.Numbers))
	}
}

// wantAccepted wants everyone to be Accepted, with an id of their own where there are ids.
func (x *exam) wantAccepted(a answer) {
	x.Helper()
	x.wantAll(a, providers.Accepted, "a call that the gateway takes")
	ids := map[string]bool{}
	for _, r := range a.results {
		if r.MessageID != "" {
			ids[r.MessageID] = true
		}
	}
	if len(ids) != 0 && len(ids) != len(a.results) {
		x.Errorf("%d ids for %d messages", len(ids), len(a.results))
	}
}

// wantInBooks wants the gateway to have accepted one message for each of these and
// nothing else.
func (x *exam) wantAcceptedOnly(g *gateway, to []sms.MSISDN) {
	x.Helper()
	want := map[uint64]bool{}
	for _, number := range to {
		want[uint64(number)] = true
	}
	for number, times := range g.AllAccepted() {
		if !want[number] || times != 1 {
			x.Errorf("%s: %d messages (asked for: %v)", sms.MSISDN(number).Masked(), times, want[number])
		}
		delete(want, number)
	}
	if len(want) > 0 {
		x.Errorf("%d numbers have got nothing", len(want))
	}
}

func refusesTooMany(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	x.wantNoCall(g, p, batch(x.numbers(p.Info().MaxRecipients+1)))
	lowered := x.open(g.url, func(s *providers.Settings) { s.MaxRecipients = 1 })
	if n := lowered.Info().MaxRecipients; n != 1 {
		x.Errorf("max_recipients: 1 leaves %d", n)
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
	x.wantError(a, providers.Rejected, providers.Campaign, providers.CauseRefused, "a batch that is no call")
	x.wantSeen(int64(len(g.exchanges())), 0, "a batch that is no call")
}

// saysOfOne makes the gateway say a word of some numbers, as far as it reaches.
func answerForSome(x *exam, word sandbox.Word, want providers.Outcome) {
	g := x.gateway()
	p := x.open(g.url)
	to := x.numbers(min(6, max(2, p.Info().MaxRecipients)))
	reach := g.Reach(word)
	if reach == sandbox.Unsaid {
		return // the vendor has no such answer
	}
	marked := map[sms.MSISDN]bool{to[0]: true, to[len(to)-2]: true}
	for number := range marked {
		if err := g.Say(word, uint64(number)); err != nil {
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
			case reach == sandbox.OfNumber && !marked[number], reach == sandbox.OfCall && !struck:
				taken = append(taken, number)
				if got.Outcome != providers.Accepted {
					x.Errorf("a number that nothing was said of: %+v", got)
				}
			case got.Outcome != want:
				x.Errorf("the gateway says %q (reach %d): want %v, got %+v", word, reach, want, got)
			case got.Code == "" || a.err == nil && got.Reason == "":
				x.Errorf("%v without reason or code: %+v", want, got)
			case reach == sandbox.OfNumber && a.err == nil && got.Scope != providers.Recipient:
				x.Errorf("what is said of a number speaks for the %v: %+v", got.Scope, got)
			}
		}
		if reach == sandbox.OfCall && struck && a.err == nil && len(part) > 1 {
			x.Errorf("the gateway refuses the whole call: want an error, got %v", a)
		}
	}
	x.wantAcceptedOnly(g, taken)
}

// putsOff makes the gateway say of a whole call that it has not taken it, where it
// has a word for that.
func refusesForNow(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	if err := g.server.Fail(sandbox.Fault{Name: "later", Gateway: x.kind.Name, N: 1}); err != nil {
		x.Fatalf("%v", err)
	}
	b := x.newBatch(p, 3)
	a := x.send(p, b)
	if g.Stats().Faults == 0 {
		x.wantAll(a, providers.Accepted, "a gateway without a word for later")
		return
	}
	x.wantAll(a, providers.Retryable, "the gateway's word for later")
	x.wantAcceptedOnly(g, nil)
	x.wantAll(x.send(p, batch(b.To)), providers.Accepted, "the next call")
	x.wantAcceptedOnly(g, b.To)
}

func repeatsByKey(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	b := x.newBatch(p, 3)
	first := x.send(p, b)
	if p.Info().KeyTTL == 0 {
		b.IdempotencyKey = "" // it means nothing here, and so must not be missed
		b.To = x.numbers(len(b.To))
		x.wantAll(x.send(p, b), providers.Accepted, "a call without a key")
		return
	}
	keyless := batch(x.numbers(1))
	keyless.IdempotencyKey = ""
	x.wantError(x.send(p, keyless), providers.Rejected, providers.Campaign, providers.CauseRefused, "a call without a key where there are keys")
	second := x.send(p, b)
	x.wantAccepted(second)
	for i := range second.results {
		if first.results[i].MessageID != second.results[i].MessageID {
			x.Errorf("first %v, then %v", first, second)
		}
	}
	x.wantAcceptedOnly(g, b.To)
	x.wantSeen(int64(len(g.exchanges())), 2, "a call, one without a key, and the first again")
	if stats := g.Stats(); stats.Replays != 1 || stats.Conflicts != 0 {
		x.Errorf("%d replays, %d of them with another call, want one and none", stats.Replays, stats.Conflicts)
	}
}

func textsArrive(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	for _, body := range []string{
		marker,
		marker + " 1+1=2; 5% & é = #1\nè à {[~]} € @ £ _ \\ | ^ +", // GSM-7
		marker + " + % & é € 漢 😀 = ; #\nnew line\tand tab",         // UCS-2
		"%2B%20" + marker + "&to=1&msg=2 %",                        // as if it were escaped already
		"+" + marker + "+",
		strings.Repeat("é", 60) + marker,
	} {
		b := x.newBatch(p, 1)
		b.Body = body
		x.wantAll(x.send(p, b), providers.Accepted, "a text with signs")
		if got := g.Last(); got.Body != body || got.From != sender {
			x.Errorf("text %q from %q arrives as %q from %q", body, sender, got.Body, got.From)
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
		x.wantAll(a, providers.Accepted, "no sender")
		return
	}
	x.wantNoneAccepted(a, "no sender where one is needed")
	if a.count(providers.Rejected) != len(b.To) {
		x.Errorf("no sender where one is needed: %v", a)
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

// sendFifty makes fifty calls at once, each to numbers of its own.
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
				x.Errorf("an id was given twice")
			}
			ids[r.MessageID] = true
		}
	}
	x.wantAcceptedOnly(g, all)
}

// fiftyBreaking is the promise: what is said of a call is true of the gateway's books.
func fiftyBreaking(x *exam) {
	g := x.gateway()
	for _, name := range []string{"accept_close", "close", "accept_502", "429", "accept_html", "cut", "later"} {
		if err := g.server.Fail(sandbox.Fault{Name: name, Gateway: x.kind.Name, P: 0.1}); err != nil {
			x.Fatalf("%v", err)
		}
	}
	for _, a := range x.sendFifty(x.open(g.url)) {
		for i, number := range a.to {
			times, o := g.Accepted(uint64(number)), a.verdict(i).Outcome
			if times > 1 || o == providers.Accepted && times != 1 || (o == providers.Rejected || o == providers.Retryable) && times != 0 {
				x.Errorf("%v, and the gateway has taken %d messages: %v", o, times, a)
			}
		}
	}
	x.wantSeen(int64(len(g.exchanges())), 50, "fifty calls")
}
