package providertest

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

var readChecks = []check{
	{"a wrong password sends nothing and says so", wrongPassword},
	{"without credit nothing is sent", noCredit},
	{"the balance is the gateway's", balance},
	{"the balance with a wrong password", balanceWrongPassword},
	{"the status of a message", messageStatus},
	{"every report there is", reports},
	{"the inbox", inbox},
	{"a question without an answer is an error", unansweredQuestions},
	{"a question answered with nonsense", nonsenseAnswers},
	{"a question for which there is no time", lateQuestions},
	{"a background send without an answer", backgroundSend},
	{"an action without an answer", actions},
}

func withWrongPassword(x *exam) func(*providers.Settings) {
	return func(s *providers.Settings) { logIn(s, x.kind.Required, user, wrongSecret) }
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
			x.Errorf("a wrong password: want retryable account credentials, or unknown where no answer is documented; got %v", a)
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
			x.Errorf("no credit: want retryable account credit, or unknown where no answer is documented; got %v", a)
		}
	}
	g.SetCredit(1000)
	x.wantAll(x.send(p, batch(b.To)), providers.Accepted, "after a top-up")
}

// same says whether two amounts are the same for people.
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
			x.Errorf("balance: %v", x.checkError(err))
		}
		if !same(got.Amount, want) {
			x.Errorf("the balance is %v, the gateway has %v", got.Amount, want)
		}
	}
	ask(credit)
	ask(credit)
	if stats := g.Stats(); stats.Calls != 0 || stats.Accepted != 0 || stats.Credit != credit {
		x.Errorf("to ask for the balance costs: %+v", stats)
	}
	a := x.send(p, b)
	left := credit - float64(len(b.To))
	ask(left)
	for _, r := range a.results {
		if r.Balance != nil && !same(r.Balance.Amount, left) {
			x.Errorf("the reply says a balance of %v, the gateway has %v", r.Balance.Amount, left)
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
		x.Errorf("a balance of %v with a wrong password", got.Amount)
		return
	}
	if e := x.checkError(err); e.Outcome != providers.Retryable || e.Scope != providers.Account || e.Cause != providers.CauseCredentials {
		x.Errorf("a wrong password: want retryable account credentials, got %v", e)
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
			x.Errorf("the status of a message: %v", x.checkError(err))
		} else if report.State == "" || report.Delivered && !report.Final {
			x.Errorf("the status of a message: %+v", report)
		}
	}
	for _, id := range []string{"", "123456789", "00000000-0000-4000-8000-000000000000", "no such id &msgid=1"} {
		report, err := poller.MessageStatus(x.Context(), id)
		if err == nil || report.Delivered {
			x.Errorf("the status of a message that nobody has sent: %+v", report)
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
		x.Errorf("a reporter without reports")
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
				x.Errorf("report %s: %v", kind, x.checkError(err))
			}
			for _, row := range table.Rows {
				if len(row) != len(table.Columns) {
					x.Errorf("report %s: a row of %d fields under %d columns", kind, len(row), len(table.Columns))
				}
			}
		}
	}
	before := len(g.exchanges())
	if _, err := reporter.Report(x.Context(), "no such report", time.Time{}, time.Time{}); err == nil {
		x.Errorf("a report that does not exist")
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
		x.Errorf("inbox: %v", x.checkError(err))
	}
}

// question is something that can be asked of a provider besides sending.
type question struct {
	name string
	// ask returns whether the answer said something that a reply must vouch for.
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

// put asks a question, and checks what the contract asks of every answer to one.
func (x *exam) ask(ctx context.Context, q question) (said bool, e *providers.Error) {
	x.Helper()
	defer func() {
		if v := recover(); v != nil {
			x.Errorf("%s panicked: %v", q.name, v)
		}
	}()
	said, err := q.ask(ctx)
	if err == nil || errors.Is(err, providers.ErrNotFinished) {
		return said, nil
	}
	if said {
		x.Errorf("%s: an answer beside an error", q.name)
	}
	return false, x.checkError(err)
}

func unansweredQuestions(x *exam) {
	p := x.open("http://127.0.0.1:1")
	for _, q := range questions(p) {
		if _, e := x.ask(x.Context(), q); e == nil || e.Outcome != providers.Retryable || e.Scope != providers.Account {
			x.Errorf("%s: connection refused: %v", q.name, e)
		}
	}
	closes := x.serve(func(c *conn) { c.request() })
	s := x.canned()
	for _, q := range questions(x.open(closes.url)) {
		before := closes.requests.Load()
		if _, e := x.ask(x.Context(), q); e == nil {
			x.Errorf("%s: no error although the gateway has said nothing", q.name)
		}
		x.wantSeen(closes.requests.Load()-before, 1, q.name+" and a gateway that closes")
	}
	for _, q := range questions(x.open(s.url)) {
		for _, status := range []int{302, 400, 401, 402, 403, 404, 429, 500, 502, 503} {
			s.answer(reply(status, "", "0"))
			before := s.requests.Load()
			_, e := x.ask(x.Context(), q)
			_, scope, cause := verdictsOf(status)
			if e == nil || e.Scope != scope || e.Cause != cause {
				x.Errorf("%s: status %d: want %v %q, got %v", q.name, status, scope, cause, e)
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
				x.Errorf("%s: an answer was read from %.30q", q.name, body)
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
			x.Errorf("%s: a context that is over: %v", q.name, e)
		}
	}
	x.wantSeen(int64(len(g.exchanges())), 0, "a context that is over")
}

// backgroundSend is what silence checks ask of Send, of a send to a list.
func backgroundSend(x *exam) {
	if _, can := x.open("http://127.0.0.1:1").(providers.BackgroundSender); !can {
		return
	}
	for _, b := range []providers.StoredBatch{{List: "Friends", From: sender, Body: text}, {Group: "Friends", From: sender, Body: text}} {
		send := func(url string) *providers.Error {
			x.Helper()
			ids, err := x.open(url).(providers.BackgroundSender).SendStored(x.Context(), b)
			if err == nil || len(ids) > 0 {
				x.Errorf("a send to a list has %d ids and the error %v", len(ids), err)
				return new(providers.Error)
			}
			return x.checkError(err)
		}
		if e := send("http://127.0.0.1:1"); e.Outcome != providers.Retryable || e.Cause != providers.CauseConnection {
			x.Errorf("a send to a list, connection refused: %v", e)
		}
		closes := x.serve(func(c *conn) { c.request() })
		if e := send(closes.url); e.Outcome != providers.Unknown || e.Cause != providers.CauseNoAnswer {
			x.Errorf("a send to a list that is read and not answered: %v", e)
		}
		x.wantSeen(closes.requests.Load(), 1, "a send to a list")
		s := x.canned()
		for _, text := range []string{"", "<html></html>", "{}", "null", marker} {
			s.answer(reply(200, "", text))
			if e := send(s.url); e.Outcome != providers.Unknown {
				x.Errorf("a send to a list answered with %q: %v", text, e)
			}
		}
		s.answer(reply(502, "", ""))
		if e := send(s.url); e.Outcome != providers.Unknown {
			x.Errorf("a send to a list answered with status 502: %v", e)
		}
	}
}

// actions are done once, too.
func actions(x *exam) {
	closes := x.serve(func(c *conn) { c.request() })
	p := x.open(closes.url)
	for _, a := range x.kind.Actions {
		params := map[string]string{}
		for _, name := range a.Needs {
			if err := a.Check(params); err == nil {
				x.Errorf("%s: parameters without %s are taken", a.Name, name)
			}
			params[name] = "1"
		}
		if err := a.Check(params); err != nil {
			x.Errorf("%s: %v", a.Name, err)
		}
		before := closes.requests.Load()
		_, e := x.ask(x.Context(), question{a.Name, func(ctx context.Context) (bool, error) {
			table, err := a.Do(ctx, p, params)
			return len(table.Rows) > 0, err
		}})
		// Parameters of which some are ones may be nonsense to this vendor.
		if seen := closes.requests.Load() - before; e == nil || seen > 1 || seen == 1 && e.Outcome != providers.Unknown {
			x.Errorf("%s: %d requests, %v", a.Name, seen, e)
		}
	}
}
