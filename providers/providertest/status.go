package providertest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

var statusChecks = []check{
	{"every status other than success", statuses},
	{"every status with the body of an accepted call", statusesWithAcceptedBody},
	{"every error status with the body of a refusal", statusesWithRefusal},
	{"every status 2xx with a body that has no result", successes},
	{"an interim answer is not the final one", interim},
	{"Retry-After is passed on", retryAfter},
	{"redirects are not followed", redirects},
}

// verdictsOf returns the permitted outcomes, the scope and the cause for the given status. The
// statuses 404, 405 and 415 have two permitted outcomes. If a vendor answers 2xx even for its
// errors, these statuses come from a web server that is not the gateway. Then Retryable is correct.
// For other vendors, Unknown is correct. A redirect is always Unknown, because it may come from the
// gateway.
func verdictsOf(status int) (outcomes []providers.Outcome, scope providers.Scope, cause providers.Cause) {
	one := func(o providers.Outcome) []providers.Outcome { return []providers.Outcome{o} }
	switch status {
	case 400, 413, 422:
		return one(providers.Rejected), providers.Call, providers.CauseRefused
	case 401, 403:
		return one(providers.Retryable), providers.Account, providers.CauseCredentials
	case 402:
		return one(providers.Retryable), providers.Account, providers.CauseCredit
	case 429:
		return one(providers.Retryable), providers.Account, providers.CauseThrottled
	case 404, 405, 415:
		return []providers.Outcome{providers.Unknown, providers.Retryable}, providers.Account, providers.CauseConfiguration
	}
	if status/100 == 3 {
		return one(providers.Unknown), providers.Account, providers.CauseConfiguration
	}
	return one(providers.Unknown), providers.Call, providers.CauseGateway
}

func statuses(x *exam) {
	s := x.canned()
	p := x.open(s.url)
	x.eachStatus(100, 599, s, p, x.newBatch(p, 3), "<html><body>Test</body></html>")
}

// statusesWithAcceptedBody checks an answer that has an error status, but accepts recipients in its
// body. The gateway may have sent the messages. So the provider must report Accepted or Unknown,
// and never Rejected or Retryable.
func statusesWithAcceptedBody(x *exam) {
	p := x.open("http://127.0.0.1:1")
	b := x.newBatch(p, 3)
	e, _ := x.realExchange(b)
	s := x.canned()
	p = x.open(s.url)
	for status := 400; status < 600; status++ {
		s.answer(reply(status, "", string(e.reply)))
		a := x.send(p, b)
		if a.err != nil && a.err.Outcome == providers.Unknown {
			continue
		}
		x.wantAll(a, providers.Accepted, fmt.Sprintf("status %d with the body of an accepted call (an unknown outcome is also right)", status))
	}
	x.eachStatus(100, 399, s, p, b, string(e.reply))
}

// statusesWithRefusal takes a real reply with status 2xx whose body refuses recipients or the whole
// call, and changes its status to an error. The body decides: each recipient must get the same outcome,
// scope and cause as with the real status. A recipient may be Unknown only if the body accepts some
// recipients.
func statusesWithRefusal(x *exam) {
	for name, refuse := range refusals(x) {
		b, whole, e, ok := x.refusedExchange(name, refuse, 3)
		if !ok {
			continue
		}
		if e.status/100 != 2 || whole.err != nil && whole.err.Outcome == providers.Unknown {
			continue // the real reply already has an error status, or its body is not documented
		}
		s := x.canned()
		p := x.open(s.url)
		for _, status := range []int{400, 401, 404, 409, 418, 500, 503} {
			s.answer(reply(status, "", string(e.reply)))
			a := x.send(p, b)
			for i := range b.To {
				got, want := a.verdict(i), whole.verdict(i)
				if got.Outcome == providers.Unknown && whole.count(providers.Accepted) > 0 {
					continue
				}
				if got.Outcome != want.Outcome || got.Scope != want.Scope || got.Cause != want.Cause {
					x.Errorf("%s, but with status %d: got outcome %v, scope %v and cause %q; want %v, %v and %q as with status %d", name, status,
						got.Outcome, got.Scope, got.Cause, want.Outcome, want.Scope, want.Cause, e.status)
				}
			}
		}
	}
}

// eachStatus sends the call b once for each status from "first" to "last". The server answers with
// this status. eachStatus leaves out the statuses 2xx. After a status 1xx, the server closes the
// connection. net/http then reports that the server gave no answer. But net/http reports a status 101 as an
// answer.
func (x *exam) eachStatus(first, last int, s *canned, p providers.Provider, b providers.Batch, body string) {
	for status := first; status <= last; status++ {
		if status/100 == 2 {
			continue
		}
		header := ""
		if status < 200 {
			header = closing
		}
		s.answer(reply(status, header, body))
		before := s.requests.Load()
		a := x.send(p, b)
		x.wantSeen(s.requests.Load()-before, 1, "status "+strconv.Itoa(status))
		if status < 200 && status != http.StatusSwitchingProtocols {
			x.wantNoAnswer(a, "only status "+strconv.Itoa(status))
			continue
		}
		outcomes, scope, cause := verdictsOf(status)
		if a.err == nil || !slices.Contains(outcomes, a.err.Outcome) || a.err.Scope != scope || a.err.Cause != cause {
			x.Errorf("status %d: got %[5]v, want %[2]v %[3]v %[4]q", status, outcomes, scope, cause, a)
		}
	}
}

func successes(x *exam) {
	s := x.canned()
	p := x.open(s.url)
	b := x.newBatch(p, 3)
	for status := 200; status < 300; status++ {
		for _, body := range []string{"", "<html><body>OK</body></html>", marker} {
			s.answer(reply(status, "", body))
			before := s.requests.Load()
			x.wantAll(x.send(p, b), providers.Unknown, fmt.Sprintf("status %d with a body of %d bytes that has no result", status, len(body)))
			x.wantSeen(s.requests.Load()-before, 1, "status "+strconv.Itoa(status))
		}
	}
}

func interim(x *exam) {
	p := x.open("http://127.0.0.1:1")
	b := x.newBatch(p, 3)
	e, _ := x.realExchange(b)
	s := x.canned()
	p = x.open(s.url)
	for _, status := range []int{100, 102, 103} {
		s.answer(reply(status, "", "") + e.raw(e.reply))
		x.wantAll(x.send(p, b), providers.Accepted, "an answer after status "+strconv.Itoa(status))
	}
}

func retryAfter(x *exam) {
	s := x.canned()
	p := x.open(s.url)
	b := x.newBatch(p, 2)
	for _, status := range []int{429, 503} {
		s.answer(reply(status, "Retry-After: 7\r\n", "slow down"))
		if a := x.send(p, b); a.err == nil || a.err.RetryAfter != 7*time.Second {
			x.Errorf("status %d with Retry-After 7: got %v, want a wait of 7 s", status, a)
		}
		const wait = 10 * time.Minute
		s.answer(reply(status, "Retry-After: "+time.Now().Add(wait).UTC().Format(http.TimeFormat)+"\r\n", "slow down"))
		if a := x.send(p, b); a.err == nil || a.err.RetryAfter < wait-time.Minute || a.err.RetryAfter > wait {
			x.Errorf("status %d with a Retry-After date in ten minutes: got %v, want a wait of 9 to 10 minutes", status, a)
		}
	}
}

func redirects(x *exam) {
	g := x.gateway() // the redirects lead to this gateway; it would accept the call if the provider followed a redirect
	s := x.canned()
	p := x.open(s.url)
	b := x.newBatch(p, 2)
	statuses := []int{300, 301, 302, 303, 307, 308}
	for _, status := range statuses {
		s.answer(reply(status, "Location: "+g.url+"\r\n", ""))
		x.wantNoneAccepted(x.send(p, b), "status "+strconv.Itoa(status))
	}
	x.wantSeen(s.requests.Load(), int64(len(statuses)), "one request for each redirect")
	x.wantSeen(int64(len(g.exchanges())), 0, "the target of the redirects")
}
