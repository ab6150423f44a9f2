//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

func TestCheckList_EachCampaignExistsOnce(t *testing.T) {
	t.Parallel()
	at := time.Now()
	library := &campaign{id: "a", total: 20, enqueued: true}
	overHTTP := &campaign{id: "b", total: 1, enqueued: true, byAPI: true, message: true, receipt: apiReceipt{ID: "b", Created: at}}
	failed := &campaign{id: "c", total: 20}
	status := func(id string, total int, at time.Time) producer.Status {
		return producer.Status{ID: id, CreatedAt: at, Counts: producer.Counts{Total: total}}
	}
	a, b := status("a", 20, at.Add(time.Hour)), status("b", 1, at)
	for _, c := range []struct {
		name     string
		listed   []producer.Status
		breaches int
	}{
		{"all that were enqueued", []producer.Status{a, b}, 0},
		{"also one whose enqueue got no answer", []producer.Status{a, b, status("c", 20, at)}, 0},
		{"one is missing", []producer.Status{a}, 1},
		{"one is there twice", []producer.Status{a, b, b}, 1},
		{"one that was not enqueued", []producer.Status{a, b, status("d", 1, at)}, 1},
		{"another number of recipients", []producer.Status{status("a", 19, at), b}, 1},
		{"another time than in the receipt", []producer.Status{a, status("b", 1, at.Add(time.Second))}, 1},
	} {
		if got := checkList([]*campaign{library, overHTTP, failed}, c.listed); len(got) != c.breaches {
			t.Errorf("%s: got the broken promises %q, want %d", c.name, got, c.breaches)
		}
	}
}

func TestReceipts_AreTheSameForAllClients(t *testing.T) {
	t.Parallel()
	at := time.Now()
	one := apiReceipt{ID: "a", Created: at}
	for _, c := range []struct {
		name     string
		receipts []apiReceipt
		breaches int
	}{
		{"the same", []apiReceipt{one, one, {ID: "a", Created: at.UTC()}}, 0},
		{"another time", []apiReceipt{one, one, {ID: "a", Created: at.Add(1)}}, 1},
		{"another ID", []apiReceipt{one, {ID: "b", Created: at}, one}, 1},
		{"no time", []apiReceipt{{ID: "a"}, {ID: "a"}}, 2},
	} {
		if got := receiptBreaches("a", c.receipts); len(got) != c.breaches {
			t.Errorf("%s: got the broken promises %q, want %d", c.name, got, c.breaches)
		}
	}
}

func TestAPIClient_RepeatsUntilA2xx(t *testing.T) {
	t.Parallel()
	at := time.Now().UTC()
	for _, c := range []struct {
		name     string
		statuses []int // statuses of the first answers; 0 means a broken connection; all later answers have the status 202
		refused  bool
	}{
		{name: "at once"},
		{name: "after errors that may pass", statuses: []int{503, 0, 409, 429, 0, 500}},
		{name: "refused", statuses: []int{503, 422}, refused: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			serve := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
				var body struct{ To string }
				if err := json.NewDecoder(q.Body).Decode(&body); err != nil || body.To != "254710000001" || q.Header.Get("Idempotency-Key") != "m" || q.Header.Get("Authorization") != "Bearer key" {
					t.Errorf("the request has the recipient %q, %v and the header %v", body.To, err, q.Header)
				}
				n, status := int(requests.Add(1)), http.StatusAccepted
				if n <= len(c.statuses) {
					status = c.statuses[n-1]
				}
				if status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.WriteHeader(status)
				fmt.Fprintf(w, `{"id":"m","created_at":%q}`, at.Format(time.RFC3339Nano))
			}))
			defer serve.Close()
			a := &apiClient{key: "key", client: &http.Client{Transport: &http.Transport{}}, address: func() string { return strings.TrimPrefix(serve.URL, "http://") }}
			defer a.close()
			x := traffic{api: a}
			m := &campaign{id: "m", first: 254710000001, total: 1, byAPI: true, message: true}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			ok := x.enqueueByAPI(ctx, m, producer.Campaign{Via: "kobo", Body: "Code 1"})
			if ok == c.refused || (len(x.breaches) > 0) != c.refused || ok && !m.receipt.Created.Equal(at) {
				t.Errorf("got %t, the receipt %+v and the broken promises %q", ok, m.receipt, x.breaches)
			}
		})
	}
}
