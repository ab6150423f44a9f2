package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

var conductChecks = []check{
	{"info is valid and does not change", info},
	{"the fingerprint depends on the login and not on the secret", fingerprint},
	{"the batch is not changed", batchIsLeft},
	{"results are not shared between calls", resultsAreTheCallers},
	{"no URL has credentials", credentials},
	{"no goroutine is left behind", goroutines},
	{"a printed provider shows no secret", prints},
}

func info(x *exam) {
	p := x.open("http://127.0.0.1:1")
	i := p.Info()
	for name, n := range map[string]int{
		"MaxChars": i.MaxChars, "MaxSegments": i.MaxSegments, "SenderAlphaMax": i.SenderAlphaMax, "SenderDigitsMax": i.SenderDigitsMax,
		"KeyTTL": int(i.KeyTTL / time.Second), "MaxRecipients": i.MaxRecipients - 1,
	} {
		if n < 0 {
			x.Errorf("Info: %s is too small: got %+v, want MaxRecipients of at least 1 and no negative value", name, i)
		}
	}
	if i.Name != x.kind.Name || i.Fingerprint == "" || i.SenderAlphaMax > 0 && i.SenderAlphaMax < len(sender) {
		x.Errorf("got info %+[2]v, want the name %[1]q, a fingerprint and a SenderAlphaMax that allows the suite's sender ID", x.kind.Name, i)
	}
	if i.KeyTTL > 0 && i.KeyTTL < 24*time.Hour {
		x.Errorf("got KeyTTL %v, want at least 24 hours", i.KeyTTL)
	}
	if again := p.Info(); again != i {
		x.Errorf("got info %+v, then %+v; want no change", i, again)
	}
	x.send(p, x.newBatch(p, 1))
	if again := p.Info(); again != i {
		x.Errorf("got info %+v before a call and %+v after it; want no change", i, again)
	}
	if other := x.open("http://127.0.0.1:1").Info(); other != i {
		x.Errorf("got info %+v and %+v for the same account; want the same", i, other)
	}
}

func fingerprint(x *exam) {
	of := func(base, user string, secret providers.Secret) string {
		x.Helper()
		return x.open(base, func(s *providers.Settings) { x.kind.LogIn(s, user, secret) }).Info().Fingerprint
	}
	one := of("http://127.0.0.1:1", user, secret)
	if of("http://127.0.0.1:1", user, wrongSecret) != one {
		x.Errorf("two accounts that differ only in their secret have different fingerprints, want the same fingerprint")
	}
	if of("http://127.0.0.1:2", user, secret) == one {
		x.Errorf("two accounts that differ only in their base URL have the same fingerprint, want different fingerprints")
	}
	hasUser := slices.ContainsFunc(x.kind.Required, func(f providers.Field) bool { return !f.Secret })
	if hasUser && of("http://127.0.0.1:1", user+"2", secret) == one {
		x.Errorf("two accounts that differ only in their user have the same fingerprint, want different fingerprints")
	}
}

func batchIsLeft(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	n := min(5, p.Info().MaxRecipients)
	room := x.numbers(n + 3)
	slices.Reverse(room)
	was := slices.Clone(room)
	b := batch(nil)
	b.To = room[:n]
	before := b
	a := x.send(p, b)
	x.wantAccepted(a)
	if !slices.Equal(room, was) {
		x.Errorf("Send changed the list of recipients or the array behind it, want no change")
	}
	if b.To = nil; b.IdempotencyKey != before.IdempotencyKey || b.From != before.From || b.Body != before.Body || b.Flash != before.Flash {
		x.Errorf("Send changed the batch, want no change")
	}
	// The results must not share memory with the batch, so the test changes the batch and compares
	// the results.
	kept := slices.Clone(a.results)
	clear(room)
	if !slices.Equal(kept, a.results) {
		x.Errorf("the results changed with the batch: want no shared memory")
	}
}

func resultsAreTheCallers(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	first := x.send(p, x.newBatch(p, 4))
	kept := slices.Clone(first.results)
	second := x.send(p, x.newBatch(p, 4))
	if !slices.Equal(kept, first.results) {
		x.Errorf("the results of a call changed during the next call, want no change")
	}
	kept = slices.Clone(second.results)
	for i := range first.results {
		first.results[i] = providers.Result{Reason: "mine"}
	}
	if !slices.Equal(kept, second.results) {
		x.Errorf("two calls share memory for their results, want separate memory")
	}
	x.wantAccepted(x.send(p, x.newBatch(p, 4)))
}

// The check "credentials" fails if a request of the provider has the secret in its URL. It also fails if a request
// has a header with an idempotency key, or a header with a login that the vendor does not require.
func credentials(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	x.wantAccepted(x.send(p, x.newBatch(p, 2)))
	sent := g.exchanges()
	for _, q := range questions(p) {
		_, _ = x.ask(x.Context(), q)
	}
	x.send(x.open(g.url, withWrongPassword(x)), x.newBatch(p, 1))
	authorized := x.needsAuthorization(sent[0])
	for i, e := range g.exchanges() {
		if i < len(sent) && e.method != http.MethodPost {
			x.Errorf("got method %s for a send, want POST", e.method)
		}
		for _, s := range spellings(secret, wrongSecret) {
			if strings.Contains(e.target, s) {
				x.Errorf("%s request %d: the URL contains the secret, want it in the header or body", e.method, i)
			}
		}
		if strings.Contains(e.target, user) && e.method == http.MethodPost {
			x.Errorf("request %d: the URL of a POST contains the user, want the user in the header or body", i)
		}
		for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			if _, ok := e.header[name]; ok {
				x.Errorf("request %d has the header %s, want none: net/http would repeat a request with this header", i, name)
			}
		}
		if e.header.Get("Cookie") != "" || e.header.Get("Authorization") != "" && !authorized {
			x.Errorf("request %d has an Authorization or Cookie header, want neither, because the vendor requires neither", i)
		}
	}
}

// needsAuthorization reports whether the sandbox requires the Authorization header of the request e.
// It sends e without this header to a new sandbox. If that sandbox accepts no message, it returns true.
func (x *exam) needsAuthorization(e exchange) bool {
	if e.header.Get("Authorization") == "" {
		return false
	}
	g := x.gateway()
	r, err := http.NewRequestWithContext(x.Context(), e.method, strings.TrimSuffix(g.url, "/"+x.kind.Name)+e.target, bytes.NewReader(e.body))
	if err != nil {
		x.Fatalf("%v", err)
	}
	r.Header = e.header.Clone()
	r.Header.Del("Authorization")
	reply, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		x.Fatalf("remove the Authorization header of a send and send it again: %v", err)
	}
	_ = reply.Body.Close()
	return g.Stats().Accepted == 0
}

// The check "goroutines" makes calls that end in different ways, and then searches for goroutines that
// still run. Every goroutine that starts during a call inherits the call's label. While the servers
// run, only net/http's connections may have labelled goroutines. After the servers have ended, no
// labelled goroutine may run.
func goroutines(x *exam) {
	label := fmt.Sprintf("%s-%d", x.kind.Name, keys.Add(1))
	g := x.gateway()
	hangs := make(chan context.CancelFunc, 1)
	s := x.serve(func(c *conn) {
		if _, ok := c.request(); ok {
			(<-hangs)()
			c.wait()
		}
	})
	p, hanging := x.open(g.url), x.open(s.url)
	ctx, cancel := context.WithCancel(x.Context())
	defer cancel()
	hangs <- cancel
	pprof.Do(x.Context(), pprof.Labels(labelKey, label), func(context.Context) {
		x.wantAccepted(x.send(p, x.newBatch(p, 3)))
		if err := g.server.Fail(simulator.Fault{Name: "close", Gateway: x.kind.Name, N: 1}); err != nil {
			x.Errorf("%v", err)
		}
		x.send(p, x.newBatch(p, 3))
		x.wantNoAnswer(x.sendIn(ctx, hanging, x.newBatch(p, 3)), "a cancelled call")
		for _, q := range questions(p) {
			_, _ = x.ask(x.Context(), q)
		}
	})
	for _, stack := range labelled(label) {
		if !strings.Contains(stack, "net/http.(*") && !strings.Contains(stack, "\tnet.") {
			x.Errorf("a goroutine that does not belong to a connection still runs after the call, want none:\n%s", stack)
			return
		}
	}
	g.hangUp()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		left := labelled(label)
		if len(left) == 0 {
			return
		}
		select {
		case <-deadline:
			x.Errorf("%d goroutines still run after every connection was closed, want none:\n%s", len(left), strings.Join(left, "\n\n"))
			return
		case <-tick.C:
		}
	}
}

const labelKey = "providertest"

// labelled returns the stacks of the goroutines that have the given label.
func labelled(label string) (stacks []string) {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	for block := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(block, fmt.Sprintf("%q:%q", labelKey, label)) {
			stacks = append(stacks, block)
		}
	}
	return stacks
}

// spellings returns the escaped forms in which secrets may appear.
func spellings(secrets ...string) (all []string) {
	for _, s := range secrets {
		all = append(all, s, url.QueryEscape(s), url.PathEscape(s), strings.ReplaceAll(s, "&", `\u0026`))
	}
	return all
}

// The check "prints" formats a provider and its settings in every form that logs and panics use. No such text may
// hold confidential data.
func prints(x *exam) {
	g := x.gateway()
	p := x.open(g.url)
	x.send(p, x.newBatch(p, 2))
	settings := x.settings(g.url)
	values := []any{p, settings, &settings, x.kind, p.Info()}
	if v := reflect.ValueOf(p); v.Kind() == reflect.Pointer && !v.IsNil() {
		values = append(values, v.Elem().Interface())
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x"} {
			x.note(fmt.Sprintf(verb, v))
		}
		if text, err := json.Marshal(v); err == nil {
			x.note(string(text))
		}
	}
	bad := x.settings(g.url)
	bad.Options = map[string]string{"zebra": secret}
	bad.BaseURL = "http://" + user + ":" + url.PathEscape(secret) + "@127.0.0.1:1"
	if _, err := x.kind.Open(bad); err == nil {
		x.Errorf("got no error for settings that have an unknown field, and a user and password in the base URL; want an error")
	} else {
		x.noteError(err)
	}
	for said, check := range x.textsSoFar() {
		if check == x.check && leaks(said) != "" {
			x.Errorf("the printed text holds %s, want nothing confidential", leaks(said))
		}
	}
}

func (s *suite) textsSoFar() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := make(map[string]string, len(s.texts))
	for text, check := range s.texts {
		said[text] = check
	}
	return said
}

// The function "leaks" searches the text "printed" for confidential data. It returns the kind of data that it finds
// first, such as "a secret", or "" if it finds nothing.
func leaks(printed string) string {
	for _, s := range spellings(secret, wrongSecret) {
		if strings.Contains(printed, s) || strings.Contains(printed, fmt.Sprintf("%x", s)) {
			return "a secret"
		}
	}
	if strings.Contains(printed, marker) {
		return "a message's text"
	}
	// A masked number shows at most 4 consecutive digits, so 8 consecutive digits belong to a complete number.
	for _, number := range []sms.MSISDN{kenya, nigeria} {
		if strings.Contains(printed, number.String()[:8]) {
			return "a complete phone number"
		}
	}
	return ""
}

func noLeaks(x *exam) {
	told := map[string]bool{}
	for said, check := range x.textsSoFar() {
		what := leaks(said)
		if what == "" || told[check] {
			continue
		}
		told[check] = true
		x.Errorf("check %q: an error, result or printed text holds %s: %.300s", check, what, said)
	}
}
