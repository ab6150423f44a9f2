package providertest

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

var readChecks = []check{
	{"with a wrong password, nothing is sent and the error names the credentials", wrongPassword},
	{"without credit nothing is sent", noCredit},
	{"the balance equals the balance at the gateway", balance},
	{"reading the balance with a wrong password is an error", balanceWrongPassword},
	{"the status of a message", messageStatus},
	{"every report", reports},
	{"the inbox", inbox},
	{"a read without an answer is an error", unansweredQuestions},
	{"a read with an invalid answer", nonsenseAnswers},
	{"a list that is not in the gateway's form is an error", otherShapes},
	{"a read with an ended context", lateQuestions},
	{"a background send that the gateway does not answer", backgroundSend},
	{"an action that the gateway does not answer", actions},
}

func withWrongPassword(x *exam) func(*providers.Settings) {
	return func(s *providers.Settings) { x.kind.LogIn(s, user, wrongSecret) }
}

func wrongPassword(x *exam) {
	g := x.gateway()
	p := x.open(g.url, withWrongPassword(x))
	b := x.newBatch(p, 3)
	a := x.send(p, b)
	x.wantSeen(int64(len(g.exchanges())), 1, "a wrong password")
	x.wantAcceptedOnly(g, nil)
	for i := range b.To {
		v := a.verdict(i)
		if v.Outcome != providers.Unknown &&
			(v.Outcome != providers.Retryable || v.Scope != providers.Account || v.Cause != providers.CauseCredentials) {
			x.Errorf("a send with a wrong password: got %v, want \"retryable account credentials\", or an unknown outcome if the gateway documents no answer to a wrong password", a)
		}
	}
}

func noCredit(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	g.SetCredit(0)
	b := x.newBatch(p, 3)
	a := x.send(p, b)
	x.wantAcceptedOnly(g, nil)
	for i := range b.To {
		v := a.verdict(i)
		if v.Outcome != providers.Unknown &&
			(v.Outcome != providers.Retryable || v.Scope != providers.Account || v.Cause != providers.CauseCredit) {
			x.Errorf("a send without credit: got %v, want \"retryable account credit\", or an unknown outcome if the gateway documents no answer about credit", a)
		}
	}
	g.SetCredit(1000)
	x.wantAll(x.send(p, batch(b.To)), providers.Accepted, "after a top-up")
}

// The function "same" reports whether two amounts differ by less than half a cent.
func same(a, b float64) bool { return math.Abs(a-b) < 0.005 }

func balance(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	const credit = 1234
	g.SetCredit(credit)
	b := x.newBatch(p, 3)
	asker, can := p.(providers.Balancer)
	ask := func(want float64) {
		x.Helper()
		if !can {
			return
		}
		got, err := asker.Balance(x.Context())
		if err != nil {
			x.Errorf("reading the balance: got the error %v, want none", x.checkError(err))
		}
		if !same(got.Amount, want) {
			x.Errorf("reading the balance: got %v, want %v, the balance at the gateway", got.Amount, want)
		}
	}
	ask(credit)
	ask(credit)
	if stats := g.Stats(); stats.Calls != 0 || stats.Accepted != 0 || stats.Credit != credit {
		x.Errorf("reading the balance changed the gateway's state to %+v, want no change", stats)
	}
	a := x.send(p, b)
	left := credit - float64(len(b.To))
	ask(left)
	for _, r := range a.results {
		if r.Balance != nil && !same(r.Balance.Amount, left) {
			x.Errorf("a result of the send has the balance %v, want %v, the balance at the gateway", r.Balance.Amount, left)
		}
	}
}

func balanceWrongPassword(x *exam) {
	g := x.gateway()
	asker, can := x.open(g.url, withWrongPassword(x)).(providers.Balancer)
	if !can {
		return
	}
	got, err := asker.Balance(x.Context())
	if err == nil {
		x.Errorf("got a balance of %v with a wrong password, want an error", got.Amount)
		return
	}
	if e := x.checkError(err); e.Outcome != providers.Retryable || e.Scope != providers.Account || e.Cause != providers.CauseCredentials {
		x.Errorf("reading the balance with a wrong password: got %v, want \"retryable account credentials\"", e)
	}
}

func messageStatus(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	poller, can := p.(providers.StatusPoller)
	if !can {
		return
	}
	a := x.send(p, x.newBatch(p, 2))
	for _, r := range a.results {
		report, err := poller.MessageStatus(x.Context(), r.MessageID)
		if err != nil {
			x.Errorf("the status of a message: got the error %v, want none", x.checkError(err))
		} else if report.State == "" || report.Delivered && !report.Final {
			x.Errorf("the status of a message: got %+v, want a status with a State; the status of a delivered message must be final", report)
		}
	}
	for _, id := range []string{"", "123456789", "00000000-0000-4000-8000-000000000000", "no such id &msgid=1"} {
		report, err := poller.MessageStatus(x.Context(), id)
		if err == nil || report.Delivered {
			x.Errorf("the status of a message that was never sent: got %+v, want an error", report)
			continue
		}
		_ = x.checkError(err)
	}
}

func reports(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	reporter, can := p.(providers.Reporter)
	if !can {
		return
	}
	x.wantAll(x.send(p, x.newBatch(p, 3)), providers.Accepted, "a call to report on")
	kinds := reporter.ReportKinds()
	if len(kinds) == 0 {
		x.Errorf("ReportKinds: got no kinds, want at least one")
	}
	now := time.Now()
	for _, kind := range kinds {
		for _, from := range []time.Time{{}, now.Add(-time.Hour)} {
			to := from
			if !from.IsZero() {
				to = now.Add(time.Hour)
			}
			table, err := reporter.Report(x.Context(), kind, from, to)
			if err != nil {
				x.Errorf("report %s: got the error %v, want none", kind, x.checkError(err))
			}
			for _, row := range table.Rows {
				if len(row) != len(table.Columns) {
					x.Errorf("report %s: got a row of %d fields, want %d columns", kind, len(row), len(table.Columns))
				}
			}
		}
	}
	before := len(g.exchanges())
	if _, err := reporter.Report(x.Context(), "no such report", time.Time{}, time.Time{}); err == nil {
		x.Errorf("a report that does not exist: got no error, want an error")
	} else {
		_ = x.checkError(err)
	}
	x.wantSeen(int64(len(g.exchanges())-before), 0, "a report that does not exist")
}

func inbox(x *exam) {
	g := x.gateway()
	reader, can := x.open(g.url).(providers.InboxReader)
	if !can {
		return
	}
	if _, err := reader.Inbox(x.Context(), ""); err != nil {
		x.Errorf("reading the inbox: got the error %v, want none", x.checkError(err))
	}
}

// question is a read operation of a provider, or an action.
type question struct {
	name string
	// ask performs the operation. The result "said" is true if the operation returned data that only
	// a reply can contain.
	ask func(ctx context.Context) (said bool, err error)
}

func questions(p providers.Provider) (all []question) {
	if asker, ok := p.(providers.Balancer); ok {
		all = append(all, question{"balance", func(ctx context.Context) (bool, error) {
			_, err := asker.Balance(ctx)
			return err == nil, err
		}})
	}
	if poller, ok := p.(providers.StatusPoller); ok {
		all = append(all, question{"status", func(ctx context.Context) (bool, error) {
			report, err := poller.MessageStatus(ctx, "123456789")
			return report.Delivered || report.Final, err
		}})
	}
	if reporter, ok := p.(providers.Reporter); ok {
		for _, kind := range reporter.ReportKinds() {
			all = append(all, question{"report " + kind, func(ctx context.Context) (bool, error) {
				table, err := reporter.Report(ctx, kind, time.Time{}, time.Time{})
				return len(table.Rows) > 0, err
			}})
		}
	}
	if reconciler, ok := p.(providers.Reconciler); ok {
		all = append(all, question{"taken", func(ctx context.Context) (bool, error) {
			messages, err := reconciler.Taken(ctx, time.Time{}, time.Time{})
			return len(messages) > 0, err
		}})
	}
	if background, ok := p.(providers.BackgroundSender); ok {
		all = append(all, question{"background messages", func(ctx context.Context) (bool, error) {
			messages, err := background.BackgroundMessages(ctx, "123456789")
			return len(messages) > 0, err
		}})
	}
	if reader, ok := p.(providers.InboxReader); ok {
		all = append(all, question{"inbox", func(ctx context.Context) (bool, error) {
			messages, err := reader.Inbox(ctx, "")
			return len(messages) > 0, err
		}})
	}
	return all
}

// ask performs the operation q and checks the rules of the contract that hold for every answer. The
// result "said" is true if the operation returned data that only a reply can contain.
func (x *exam) ask(ctx context.Context, q question) (said bool, e *providers.Error) {
	x.Helper()
	defer func() {
		if v := recover(); v != nil {
			x.Errorf("%s: panic: %v", q.name, v)
		}
	}()
	said, err := q.ask(ctx)
	if err == nil || errors.Is(err, providers.ErrNotFinished) {
		return said, nil
	}
	if said {
		x.Errorf("%s: got data and an error, want only one of them", q.name)
	}
	return false, x.checkError(err)
}

func unansweredQuestions(x *exam) {
	p := x.open("http://127.0.0.1:1")
	for _, q := range questions(p) {
		if _, e := x.ask(x.Context(), q); e == nil || e.Outcome != providers.Retryable || e.Scope != providers.Account {
			x.Errorf("%s: connection refused: got %v, want a retryable error about the account", q.name, e)
		}
	}
	closes := x.serve(func(c *conn) { c.request() })
	s := x.canned()
	for _, q := range questions(x.open(closes.url)) {
		before := closes.requests.Load()
		if _, e := x.ask(x.Context(), q); e == nil {
			x.Errorf("%s: the gateway sends no reply: got no error, want an error", q.name)
		}
		x.wantSeen(closes.requests.Load()-before, 1, q.name+" request to a gateway that closes the connection")
	}
	for _, q := range questions(x.open(s.url)) {
		for _, status := range []int{302, 400, 401, 402, 403, 404, 429, 500, 502, 503} {
			s.answer(reply(status, "", "0"))
			before := s.requests.Load()
			_, e := x.ask(x.Context(), q)
			_, scope, cause := verdictsOf(status)
			if e == nil || e.Scope != scope || e.Cause != cause {
				x.Errorf("%s: status %d: got %[5]v, want %[3]v %[4]q", q.name, status, scope, cause, e)
			}
			x.wantSeen(s.requests.Load()-before, 1, q.name)
		}
	}
}

func nonsenseAnswers(x *exam) {
	s := x.canned()
	for _, q := range questions(x.open(s.url)) {
		for _, body := range []string{
			"", "\x00", `{}`, `[]`, `null`, `{`, `"`, `[{}]`, `{"0":{}}`, "<html><body>1</body></html>", "error", "success", "\"\n\"", "a,b\n\"c",
			"\xff\xfe", "Infinity", "0x10", "1e3", "1,23",
		} {
			s.answer(reply(200, "", body))
			said, e := x.ask(x.Context(), q)
			if said || q.name == "balance" && e == nil {
				x.Errorf("%s: got data from the invalid reply %.30q, want an error", q.name, body)
			}
		}
	}
}

func lateQuestions(x *exam) {
	g := x.gateway()
	ctx, cancel := context.WithCancel(x.Context())
	cancel()
	for _, q := range questions(x.open(g.url)) {
		if _, e := x.ask(ctx, q); e == nil || e.Outcome != providers.Retryable {
			x.Errorf("%s with an ended context: got %v, want a retryable error", q.name, e)
		}
	}
	x.wantSeen(int64(len(g.exchanges())), 0, "an ended context")
}

// backgroundSend checks the errors of failed sends to a stored list or group. The error must be Retryable
// if the gateway refuses the connection. It must be Unknown if the gateway sends no usable answer.
func backgroundSend(x *exam) {
	if _, can := x.open("http://127.0.0.1:1").(providers.BackgroundSender); !can {
		return
	}
	for _, b := range []providers.StoredBatch{{List: "Friends", From: sender, Body: text}, {Group: "Friends", From: sender, Body: text}} {
		send := func(url string) *providers.Error {
			x.Helper()
			ids, err := x.open(url).(providers.BackgroundSender).SendStored(x.Context(), b)
			if err == nil || len(ids) > 0 {
				x.Errorf("a send to a stored list or group: got %d IDs and the error %v, want an error and no IDs", len(ids), err)
				return new(providers.Error)
			}
			return x.checkError(err)
		}
		if e := send("http://127.0.0.1:1"); e.Outcome != providers.Retryable || e.Cause != providers.CauseConnection {
			x.Errorf("a send to a list while the gateway refuses connections: got %v, want a retryable error with the cause \"connection\"", e)
		}
		closes := x.serve(func(c *conn) { c.request() })
		if e := send(closes.url); e.Outcome != providers.Unknown || e.Cause != providers.CauseNoAnswer {
			x.Errorf("a send to a list that the gateway does not answer: got %v, want an unknown outcome with the cause no_answer", e)
		}
		x.wantSeen(closes.requests.Load(), 1, "a send to a list")
		s := x.canned()
		for _, text := range []string{"", "<html></html>", "{}", "null", marker} {
			s.answer(reply(200, "", text))
			if e := send(s.url); e.Outcome != providers.Unknown {
				x.Errorf("a send to a list, answered with %q: got %v, want an unknown outcome", text, e)
			}
		}
		s.answer(reply(502, "", ""))
		if e := send(s.url); e.Outcome != providers.Unknown {
			x.Errorf("a send to a list, answered with status 502: got %v, want an unknown outcome", e)
		}
	}
}

// actions checks that every action refuses missing parameters and makes at most one request.
func actions(x *exam) {
	closes := x.serve(func(c *conn) { c.request() })
	p := x.open(closes.url)
	for _, a := range x.kind.Actions {
		params := map[string]string{}
		for _, name := range a.Needs {
			if err := a.Check(params); err == nil {
				x.Errorf("%s: Check accepts parameters without %s, want an error", a.Name, name)
			}
			params[name] = "1"
		}
		if err := a.Check(params); err != nil {
			x.Errorf("%s: Check returned %v, want no error for complete parameters", a.Name, err)
		}
		before := closes.requests.Load()
		_, e := x.ask(x.Context(), question{a.Name, func(ctx context.Context) (bool, error) {
			table, err := a.Do(ctx, p, params)
			return len(table.Rows) > 0, err
		}})
		// The value 1 may be invalid for some parameters. In that case the action makes no request.
		if seen := closes.requests.Load() - before; e == nil || seen > 1 || seen == 1 && e.Outcome != providers.Unknown {
			x.Errorf("%s: got %d requests and the error %v, want at most one request, and an unknown outcome after a request", a.Name, seen, e)
		}
	}
}
