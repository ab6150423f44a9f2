package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

func TestCreate_OnceForOneName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, ctx := r.service, t.Context()
	e := Endpoint{Name: "crm", URL: "https://example.org/tuma", Events: []string{events.CampaignState}, AllowPrivate: true}
	made, again, err := s.Create(ctx, e)
	if err != nil || again || len(made.Secrets) != 1 || made.AllowPrivate || CheckSecret(made.Secrets[0].Key) != nil {
		t.Fatalf("got %+v, %v, %v", made, again, err)
	}
	secret := made.Secrets[0].Key
	for i, x := range []struct {
		change func(*Endpoint)
		want   error
	}{
		{func(*Endpoint) {}, nil},
		{func(e *Endpoint) { e.Secrets = []Secret{{Key: secret}} }, nil},
		{func(e *Endpoint) { e.Secrets = []Secret{{Key: firstSecret}} }, producer.ErrConflict},
		{func(e *Endpoint) { e.URL += "2" }, producer.ErrConflict},
		{func(e *Endpoint) { e.Events = nil }, producer.ErrConflict},
		{func(e *Endpoint) { e.Name = "hook"; e.URL = "https://example.org/hook" }, producer.ErrConflict},
	} {
		other := e
		x.change(&other)
		if _, again, err := s.Create(ctx, other); !errors.Is(err, x.want) || again != (x.want == nil) {
			t.Errorf("case %d: %v, %v; want %v", i, again, err, x.want)
		}
	}
	list, err := s.States(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "crm" || list[0].Source != "api" || list[0].CreatedAt.IsZero() || list[1].Source != "file" {
		t.Errorf("the list is %+v, %v", list, err)
	}
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{string(text), fmt.Sprintf("%v %+v %#v", made, made, made), r.log.String()} {
		if strings.Contains(printed, secret.Reveal()) || strings.Contains(printed, firstSecret) {
			t.Errorf("a secret is printed: %s", printed)
		}
	}
}

func TestCreate_AllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, _, err := r.service.Create(t.Context(), Endpoint{Name: "a b", URL: "ftp://x", Events: []string{"campaign.nothing"}, Secrets: []Secret{{Key: "whsec_c2hvcnQ="}}})
	for _, field := range []string{"name", "url", "events", "secret"} {
		if !errors.Is(err, producer.ErrInvalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("got %v, want a mistake of %s", err, field)
		}
	}
	for _, url := range []string{"", "example.org", "http://example.org/", "https://user:pass@example.org/", "https://example.org/#x", "https:///x", "https://localhost/", "https://a.LOCALHOST./",
		"https://127.0.0.1/", "https://[::1]/", "https://10.0.0.1:8443/x", "https://169.254.169.254/latest", "https://" + strings.Repeat("x", maxURL) + "/", "https://exa mple.org/", "https://[fe80::1%25eth0]/"} {
		e := Endpoint{Name: "x", URL: url}
		if m := e.Mistakes(); len(m) != 1 || m[0].Field != "url" {
			t.Errorf("%.60q: %v, want a mistake", url, m)
		}
	}
	for range MaxEndpoints {
		if _, _, err := r.service.Create(t.Context(), Endpoint{Name: "n" + fmt.Sprint(len(r.rdb.HKeys(t.Context(), listKey).Val())), URL: "https://example.org/"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := r.service.Create(t.Context(), Endpoint{Name: "more", URL: "https://example.org/"}); !errors.Is(err, producer.ErrInvalid) {
		t.Errorf("one more than the maximum: %v", err)
	}
}

func TestCheckSecret_Forms(t *testing.T) {
	t.Parallel()
	if a, b := NewSecret(), NewSecret(); CheckSecret(a) != nil || CheckSecret(b) != nil || a == b {
		t.Error("a new secret is not valid, or not new")
	}
	for _, s := range []providers.Secret{"", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_c2hvcnQ=", providers.Secret("whsec_" + strings.Repeat("AAAA", 22)), "whsec_!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!!"} {
		err := CheckSecret(s)
		if err == nil || len(s) > 6 && strings.Contains(err.Error(), s.Reveal()[6:]) {
			t.Errorf("%d bytes: %v, want an error without the secret", len(s), err)
		}
	}
}

// During a rotation, messages are signed with both secrets. After a day they are signed only with the new secret.
func TestRotate_TwoSecretsForADay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, ctx := r.service, t.Context()
	if _, _, err := s.Create(ctx, Endpoint{Name: "crm", URL: "https://example.org/", Secrets: []Secret{{Key: firstSecret}}}); err != nil {
		t.Fatal(err)
	}
	secret, until, err := s.Rotate(ctx, "crm")
	if err != nil || secret == firstSecret || until.Sub(r.at) != rotateFor {
		t.Fatalf("got %v, %v", until, err)
	}
	signatures := func(at time.Time) int {
		t.Helper()
		e, err := s.endpoint(ctx, "crm")
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		if err := sign(h, e.Secrets, "x", at, nil); err != nil {
			t.Fatal(err)
		}
		return len(strings.Fields(h.Get(headerSignature)))
	}
	if now, later := signatures(r.at), signatures(until); now != 2 || later != 1 {
		t.Errorf("%d signatures now and %d after a day, want 2 and 1", now, later)
	}
	if _, _, err := s.Rotate(ctx, "crm"); err != nil || signatures(r.at) != 2 {
		t.Errorf("after a second rotation there are %d signatures, %v; want 2", signatures(r.at), err)
	}
	if err := sign(http.Header{}, []Secret{{firstSecret, r.at}}, "x", r.at, nil); err == nil {
		t.Error("a message without a secret in force is sent")
	}
}

// Another request changes or deletes an endpoint while replace runs. Then replace must return an error, and must not
// overwrite the change of the other request.
func TestReplace_OnlyWhatWasRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, ctx := r.service, t.Context()
	if _, _, err := s.Create(ctx, Endpoint{Name: "crm", URL: "https://example.org/"}); err != nil {
		t.Fatal(err)
	}
	first := r.rdb.HGet(ctx, listKey, "crm").Val()
	err := s.replace(ctx, "crm", func(e *Endpoint) {
		if _, _, err := s.Rotate(ctx, "crm"); err != nil {
			t.Error(err)
		}
		e.URL = "https://other.example.org/"
	})
	if now := r.rdb.HGet(ctx, listKey, "crm").Val(); !errors.Is(err, ErrChanged) || now == first || strings.Contains(now, "other") {
		t.Errorf("a change beside another one: %v", err)
	}
	err = s.replace(ctx, "crm", func(*Endpoint) {
		if err := s.Delete(ctx, "crm"); err != nil {
			t.Error(err)
		}
	})
	if !errors.Is(err, ErrChanged) || r.rdb.HExists(ctx, listKey, "crm").Val() {
		t.Errorf("a change beside a deletion: %v, want an endpoint that stays deleted", err)
	}
	if err := s.replace(ctx, "crm", func(*Endpoint) {}); !errors.Is(err, producer.ErrNotFound) {
		t.Errorf("a change after a deletion: %v", err)
	}
}

func TestDelete_LeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	s, ctx := r.service, t.Context()
	for _, do := range []func(string) error{
		func(n string) error { return s.Delete(ctx, n) },
		func(n string) error { _, _, err := s.Rotate(ctx, n); return err },
	} {
		if err := do("hook"); !errors.Is(err, ErrConfigured) {
			t.Errorf("of an endpoint of tuma.yaml: %v", err)
		}
		if err := do("none"); !errors.Is(err, producer.ErrNotFound) {
			t.Errorf("of no endpoint: %v", err)
		}
	}
	if _, err := s.Ping(ctx, "none"); !errors.Is(err, producer.ErrNotFound) {
		t.Error(err)
	}
	if _, _, err := s.Create(ctx, Endpoint{Name: "crm", URL: "https://crm.invalid/"}); err != nil {
		t.Fatal(err)
	}
	r.change("a", 1)
	if _, err := s.pass(ctx, "crm"); err != nil {
		t.Fatal(err)
	}
	before := r.rdb.Keys(ctx, "tuma:webhook:{crm}*").Val()
	if err := s.Delete(ctx, "crm"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pass(ctx, "crm"); err != nil {
		t.Fatal(err)
	}
	if err := r.service.release(ctx, "crm", s.token); err != nil {
		t.Fatal(err)
	}
	if after := r.rdb.Keys(ctx, "tuma:webhook:{crm}*").Val(); len(before) < 4 || len(after) != 0 {
		t.Errorf("keys before %q and after %q; want some and none", before, after)
	}
	for _, key := range r.rdb.Keys(ctx, "tuma:webhook:*").Val() {
		r.deliver()
		if r.rdb.TTL(ctx, key).Val() <= 0 {
			t.Errorf("%s does not expire", key)
		}
	}
}

func TestPing_OneAttempt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, err := r.service.Ping(t.Context(), "hook")
	if _, taken := r.receiver.got(); err != nil || !a.Delivered || !slices.Equal(taken, []string{"webhook.ping"}) || r.receiver.taken[0].Type != "webhook.ping" {
		t.Errorf("got %+v, %v, and the receiver has %q", a, err, taken)
	}
	r.receiver.set(status(http.StatusGone))
	a, err = r.service.Ping(t.Context(), "hook")
	if s := r.state(); err != nil || a.Delivered || a.Status != http.StatusGone || s.Disabled || s.Failures != 0 || s.Waiting != 0 {
		t.Errorf("got %+v, %v; the state is %+v; a ping must not change it", a, err, s)
	}
}

// The method "until" waits until the function "is" returns true.
func (r *rig) until(what string, is func() bool) {
	r.Helper()
	deadline := time.After(30 * time.Second)
	for !is() {
		select {
		case <-deadline:
			r.Fatalf("waited too long for %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Many processes deliver each event once and in order, even when the delivering process stops.
func TestRun_ManyProcesses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	services := []*Service{r.service, r.newService(), r.newService()}
	var running sync.WaitGroup
	stops := map[string]context.CancelFunc{}
	for _, s := range services {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		stops[s.token] = cancel
		s.poll = 5 * time.Millisecond
		running.Go(func() { s.Run(ctx) })
	}
	const each = 60
	n := 0
	for range services[1:] {
		for range each {
			r.change("c"+strconv.Itoa(n%3), n)
			n++
		}
		r.until("a delivery", func() bool { requests, _ := r.receiver.got(); return requests > n-each })
		holder := r.rdb.Get(t.Context(), leaseKey("hook")).Val()
		if stops[holder] == nil {
			t.Fatalf("the lease is that of %q, want a running process", holder)
		}
		stops[holder]() // stop the delivering process
		r.until("another process", func() bool {
			next := r.rdb.Get(t.Context(), leaseKey("hook")).Val()
			return next != holder && next != ""
		})
	}
	r.until("all events", func() bool { _, taken := r.receiver.got(); return len(taken) >= n })
	for _, stop := range stops {
		stop()
	}
	running.Wait()
	r.inOrder(n)
	if r.rdb.Exists(t.Context(), leaseKey("hook")).Val() != 0 {
		t.Error("the lease stays after all processes have stopped")
	}
}

// inOrder checks that the receiver has n events, and that the events of each campaign are in order.
func (r *rig) inOrder(n int) {
	r.Helper()
	_, taken := r.receiver.got()
	last := map[string]int{}
	for _, text := range taken {
		campaign, number, _ := strings.Cut(text, " ")
		i, err := strconv.Atoi(number)
		if before, ok := last[campaign]; err != nil || ok && i <= before {
			r.Errorf("%s came after %d of its campaign", text, before)
		}
		last[campaign] = i
	}
	if len(taken) != n {
		r.Errorf("%d events came, want %d, each once", len(taken), n)
	}
}

// A process dies while it has the lease. Another process continues as soon as the lease has expired.
func TestDeliver_LeaseOfADeadProcess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.change("a", 0)
	r.rdb.Set(t.Context(), leaseKey("hook"), "a dead process", 50*time.Millisecond)
	if wait := r.deliver(); wait != busyAfter {
		t.Errorf("while another process has the lease: wait %s, want %s", wait, busyAfter)
	}
	r.until("the end of the lease", func() bool { return r.rdb.Exists(t.Context(), leaseKey("hook")).Val() == 0 })
	r.deliver()
	if _, taken := r.receiver.got(); len(taken) != 1 {
		t.Errorf("%d events came, want one", len(taken))
	}
}

// A process that has lost its lease writes nothing. The process that takes the lease next sends the event again.
func TestDeliver_LostLease(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.receiver.set(func(http.ResponseWriter, message) bool {
		r.rdb.Set(r.Context(), leaseKey("hook"), "another process", time.Minute)
		return true
	})
	r.change("a", 0)
	before := r.state().Cursor
	if wait := r.deliver(); wait != busyAfter || r.state().Cursor != before {
		t.Errorf("wait %s and the cursor %s, want %s and %s", wait, r.state().Cursor, busyAfter, before)
	}
	r.receiver.set(nil)
	r.rdb.Del(t.Context(), leaseKey("hook"))
	r.deliver()
	if _, taken := r.receiver.got(); !slices.Equal(taken, []string{"a 0", "a 0"}) || r.receiver.taken[0].ID != r.receiver.taken[1].ID {
		t.Errorf("got %q, want the event twice with one ID", taken)
	}
}
