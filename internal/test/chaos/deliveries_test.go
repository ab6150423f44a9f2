//go:build unix

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/sms"
)

// noted collects broken promises.
type noted []string

func (n *noted) breach(format string, args ...any) { *n = append(*n, fmt.Sprintf(format, args...)) }

func TestAudit_ComparesDeliveriesWithTheGateway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, status string
		word         lastWord
		breaches     int
	}{
		{name: "accepted, and the gateway reports nothing", status: "accepted"},
		{name: "accepted, and no report has got a 2xx", status: "accepted", word: lastWord{final: delivered}},
		{name: "delivered, and the report got a 2xx", status: delivered, word: lastWord{final: delivered, promised: true}},
		{name: "undelivered, and the answer to the report was lost", status: undelivered, word: lastWord{final: undelivered}},
		{name: "accepted, although the report got a 2xx", status: "accepted", word: lastWord{final: delivered, promised: true}, breaches: 1},
		{name: "unknown, although the report got a 2xx", status: "unknown", word: lastWord{final: undelivered, promised: true}, breaches: 1},
		{name: "delivered, and the report says undelivered", status: delivered, word: lastWord{final: undelivered, promised: true}, breaches: 1},
		{name: "undelivered, and the gateway says delivered", status: undelivered, word: lastWord{final: delivered}, breaches: 1},
		{name: "delivered, and the gateway reports nothing", status: delivered, breaches: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := audit{gateway: posted}
			a.checkDelivery("c", producer.Result{Row: 1, Status: c.status}, c.word)
			if len(a.breaches) != c.breaches {
				t.Errorf("got the broken promises %q, want %d", a.breaches, c.breaches)
			}
		})
	}
}

func TestDeliveryLog_AFinalStatusMustNotChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		statuses string
		breaches int
	}{
		{"pending accepted delivered delivered", 0},
		{"unknown undelivered undelivered", 0},
		{"pending unknown pending accepted", 0},
		{"delivered accepted", 1},
		{"delivered undelivered", 1},
		{"undelivered pending undelivered", 1},
	} {
		var broken noted
		d := newDeliveryLog(broken.breach)
		for status := range strings.FieldsSeq(c.statuses) {
			d.see("c", producer.Result{Row: 7, Status: status})
			d.see("c", producer.Result{Row: 8, Status: "accepted"})
			d.see("d", producer.Result{Row: 7, Status: undelivered})
		}
		if len(broken) != c.breaches {
			t.Errorf("%s: got the broken promises %q, want %d", c.statuses, broken, c.breaches)
		}
	}
}

func TestDeliveryLog_FinalCountsMustNotFall(t *testing.T) {
	t.Parallel()
	status := func(id string, delivered, undelivered int) producer.Status {
		return producer.Status{ID: id, Counts: producer.Counts{Delivered: delivered, Undelivered: undelivered}}
	}
	for _, c := range []struct {
		name     string
		statuses []producer.Status
		breaches int
	}{
		{"they grow", []producer.Status{status("c", 0, 1), status("c", 0, 1), status("c", 5, 2)}, 0},
		{"another campaign has less", []producer.Status{status("c", 3, 1), status("d", 1, 0)}, 0},
		{"delivered falls", []producer.Status{status("c", 3, 1), status("c", 2, 2)}, 1},
		{"undelivered falls", []producer.Status{status("c", 3, 1), status("d", 9, 9), status("c", 4, 0)}, 1},
	} {
		var broken noted
		d := newDeliveryLog(broken.breach)
		for _, s := range c.statuses {
			d.seeCounts(s)
		}
		if len(broken) != c.breaches {
			t.Errorf("%s: got the broken promises %q, want %d", c.name, broken, c.breaches)
		}
	}
}

func TestRelay_RecordsHowReportsWereAnswered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, word       string
		status, gatewayS int
		promise          string
		breaches         int
	}{
		{name: "taken", word: "Success", status: 200, gatewayS: 200, promise: delivered},
		{name: "undelivered", word: "AbsentSubscriber", status: 200, gatewayS: 200, promise: undelivered},
		{name: "not final", word: "Sent", status: 200, gatewayS: 200},
		{name: "not stored", word: "Success", status: 503, gatewayS: 503},
		{name: "refused", word: "Success", status: 404, gatewayS: 404, breaches: 1},
		{name: "no answer", word: "Success", gatewayS: 502},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			serve := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				if q.URL.Path != "/callbacks/africastalking/"+callbackSecret+"/delivery" || q.PostFormValue("id") != "ATXid_1" {
					t.Errorf("tuma serve got %s with the ID %q, want a report of ATXid_1", q.URL.Path, q.PostFormValue("id"))
				}
				if c.status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(c.status)
			}))
			defer serve.Close()
			var broken noted
			d := newDeliveryLog(broken.breach)
			x := newRelay(d.answered, broken.breach)
			x.addresses = []string{strings.TrimPrefix(serve.URL, "http://")}
			defer x.close()
			form := url.Values{"id": {"ATXid_1"}, "phoneNumber": {"+254710000001"}, "status": {c.word}}
			q := httptest.NewRequest(http.MethodPost, "/relay/africastalking/delivery", strings.NewReader(form.Encode()))
			w := httptest.NewRecorder()
			x.ServeHTTP(w, q)
			if w.Code != c.gatewayS || d.promiseOf(254710000001) != c.promise || len(broken) != c.breaches {
				t.Errorf("the gateway got %d, and the promise is %q; want %d and %q; broken promises: %q", w.Code, d.promiseOf(254710000001), c.gatewayS, c.promise, broken)
			}
		})
	}
}

func TestPollLog_CountsRequestsInASlidingSecond(t *testing.T) {
	t.Parallel()
	began := time.Now()
	for _, c := range []struct {
		name     string
		burst    int // number of requests from 900 ms after the start, one each ms
		next     int // number of requests from 1 s after the start, one each ms
		most     int
		breaches int
	}{
		{name: "none"},
		{name: "all that report_rate allows", burst: reportRate, most: reportRate},
		{name: "one too many", burst: reportRate + 1, most: reportRate + 1, breaches: 1},
		{name: "too many in the second from 900 ms to 1900 ms", burst: 15, next: 6, most: 21, breaches: 1},
	} {
		var p pollLog
		for i := range c.next { // the order of the log does not matter
			p.add("kobo", began.Add(time.Second+time.Duration(i)*time.Millisecond))
		}
		for i := range c.burst {
			p.add("kobo", began.Add(900*time.Millisecond+time.Duration(i)*time.Millisecond))
		}
		p.add("kobo", began.Add(-time.Second))
		p.add("kobo", began.Add(2200*time.Millisecond))
		if all, most := p.busiest("kobo"); all != c.burst+c.next+2 || most != max(c.most, 1) {
			t.Errorf("%s: got %d requests, %d in a second, want %d and %d", c.name, all, most, c.burst+c.next+2, max(c.most, 1))
		}
		if got := p.check(); len(got) != c.breaches {
			t.Errorf("%s: got the broken promises %q, want %d", c.name, got, c.breaches)
		}
	}
}

// isPoll must recognise the requests for delivery reports that the clients of the polled gateways send. It must not
// recognise their calls.
func TestIsPoll_RecognisesTheRequestsOfTheClients(t *testing.T) {
	t.Parallel()
	for _, name := range polled {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			polls := 0
			gateway := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
				text, err := readText(q)
				if err != nil {
					t.Error(err)
				}
				if isPoll(name, q.URL.Path, text) {
					polls++
				}
			}))
			defer gateway.Close()
			provider := openProvider(t, name, gateway.URL+"/"+name)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			_, _ = provider.Send(ctx, providers.Batch{To: []sms.MSISDN{254710000001}, Body: "Hello", From: "ACME", IdempotencyKey: "2f22a2be-5336-57c7-a88e-ff884564ea2d"})
			if polls != 0 {
				t.Error("a call counts as a request for a delivery report")
			}
			_, _ = provider.(providers.StatusPoller).MessageStatus(ctx, "0123") // the answer is empty
			want := 1
			if lists, ok := provider.(providers.SpanPoller); ok {
				_, _ = lists.MessageStatuses(ctx, time.Now().Add(-time.Minute), time.Now())
				want = 2
			}
			if polls != want {
				t.Errorf("%d requests for delivery reports were recognised, want %d", polls, want)
			}
		})
	}
}

// openProvider returns the client of a gateway at a URL.
func openProvider(t *testing.T, name, at string) providers.Provider {
	t.Helper()
	kind, _ := catalog.Lookup(name)
	s := providers.Settings{Endpoint: providers.Endpoint{BaseURL: at}}
	for _, f := range kind.Required {
		s.SetLogin(f, "demo")
	}
	p, err := kind.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPolledWord_IsWhatTheGatewayReports(t *testing.T) {
	t.Parallel()
	words := map[string]int{}
	for i := range 1000 {
		id := fmt.Sprint("m", i)
		d := deliveries.Of(1, id, time.Hour)
		if got := polledWord(1, id); (got != "") != d.Final || d.Final && got != finalOf(d.Delivered) {
			t.Fatalf("polledWord is %q, and the gateway reports %+v", got, d)
		}
		words[polledWord(1, id)]++
	}
	if words[delivered] == 0 || words[undelivered] == 0 || words[""] == 0 {
		t.Errorf("got the words %v, want some of each", words)
	}
}

// chaos sets how the gateways of the sandbox report deliveries. The sandbox must accept these settings.
func TestReportGateways_TheSandboxAcceptsTheSettings(t *testing.T) {
	t.Parallel()
	for _, quick := range []bool{false, true} {
		r := chaosRun{options: options{plan: plan{quick: quick}}, gateway: catalog.Simulate(simulator.Options{})}
		if err := r.reportGateways("http://127.0.0.1:1"); err != nil {
			t.Error(err)
		}
		r.gateway.Close()
	}
}
