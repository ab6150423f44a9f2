// Package simulatortest has helpers for tests of simulated gateways. It starts a server, and sends
// requests to the server without Tuma's gateway clients.
package simulatortest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// Start serves simulated gateways until the test ends, and returns the simulator with its address.
func Start(t testing.TB, o simulator.Options, vendors map[string]simulator.NewVendor) (*simulator.Server, string) {
	t.Helper()
	s := simulator.New(o, vendors)
	web := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); web.Close() })
	return s, web.URL
}

// With returns a copy of a form in which one field has another value. If the value is empty, the
// copy does not have the field.
func With(form url.Values, name, value string) url.Values {
	changed := url.Values{}
	for k, v := range form {
		changed[k] = v
	}
	if value == "" {
		changed.Del(name)
	} else {
		changed.Set(name, value)
	}
	return changed
}

// Post sends a form and returns the status and body, or status 0 if the connection ended before the
// end of the reply.
func Post(t testing.TB, address string, form url.Values) (int, string) {
	t.Helper()
	resp, err := http.PostForm(address, form)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, string(body)
	}
	return resp.StatusCode, string(body)
}

// Get returns the body of a GET request. It fails the test if the status is not 200.
func Get(t testing.TB, address string) string {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %d %v", address, resp.StatusCode, err)
	}
	return string(body)
}
