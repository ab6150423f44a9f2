package httpclient

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// verdict is what StatusVerdict decides.
type verdict struct {
	Outcome providers.Outcome
	Scope   providers.Scope
	Cause   providers.Cause
}

// statusRow lists the statuses that have the same verdict.
type statusRow struct {
	want     verdict
	statuses []int
}

// noHandler are the statuses of a web server that has no handler for the URL.
var noHandler = []int{404, 405, 415}

// statusVerdicts returns the verdict of every status except 2xx.
func statusVerdicts() []statusRow {
	span := func(from, to int) (statuses []int) {
		for s := from; s <= to; s++ {
			statuses = append(statuses, s)
		}
		return statuses
	}
	table := []statusRow{
		{verdict{providers.Rejected, providers.Call, providers.CauseRefused}, []int{400, 413, 422}},
		{verdict{providers.Retryable, providers.Account, providers.CauseCredentials}, []int{401, 403}},
		{verdict{providers.Retryable, providers.Account, providers.CauseCredit}, []int{402}},
		{verdict{providers.Retryable, providers.Account, providers.CauseThrottled}, []int{429}},
		{verdict{providers.Unknown, providers.Account, providers.CauseConfiguration}, append(span(300, 399), noHandler...)},
	}
	var listed []int
	for _, r := range table {
		listed = append(listed, r.statuses...)
	}
	others := slices.DeleteFunc(slices.Concat(span(100, 199), span(400, 599)), func(s int) bool { return slices.Contains(listed, s) })
	return append(table, statusRow{verdict{providers.Unknown, providers.Call, providers.CauseGateway}, others})
}

func TestStatusVerdict_OfEveryStatus(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, r := range statusVerdicts() {
		for _, status := range r.statuses {
			r := r
			seen++
			e := StatusVerdict("x send", status, 3*time.Second, false)
			if e == nil {
				t.Fatalf("status %d: got no verdict, want one", status)
			}
			if got := (verdict{e.Outcome, e.Scope, e.Cause}); got != r.want {
				t.Errorf("status %d: got %v, want %v", status, got, r.want)
			}
			if slices.Contains(noHandler, status) {
				r.want.Outcome = providers.Retryable
			}
			inBody := StatusVerdict("x send", status, 3*time.Second, true)
			if got := (verdict{inBody.Outcome, inBody.Scope, inBody.Cause}); got != r.want {
				t.Errorf("status %d, with errors in the body: got %v, want %v", status, got, r.want)
			}
			if e.Op != "x send" || e.Code != fmt.Sprintf("http %d", status) || e.RetryAfter != 3*time.Second || e.KeepKey {
				t.Errorf("status %d: got %+v, want the operation, the code and the wait of 3s", status, e)
			}
		}
	}
	for status := 200; status <= 299; status++ {
		seen++
		if e := StatusVerdict("x send", status, 0, true); e != nil {
			t.Errorf("status %d: got %v, want no verdict", status, e)
		}
	}
	if seen != 500 {
		t.Errorf("%d statuses tested, want 500", seen)
	}
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for in, want := range map[string]time.Duration{
		"":                                  0,
		"0":                                 0,
		" 7 ":                               7 * time.Second,
		"3600":                              time.Hour,
		"3601":                              time.Hour,
		"99999999999999999999":              time.Hour,
		"-5":                                0,
		"1.5":                               0,
		"soon":                              0,
		date(90 * time.Second):              90 * time.Second,
		date(-time.Minute):                  0,
		date(48 * time.Hour):                time.Hour,
		"Sunday, 06-Nov-94 08:49:37 GMT":    0,
		"Wednesday, 04-Mar-26 05:06:17 GMT": 10 * time.Second,
	} {
		if got := ParseRetryAfter(in, now); got != want {
			t.Errorf("%q: got %v, want %v", in, got, want)
		}
	}
}

func TestNotUnderstood_NamesTheKindNotTheText(t *testing.T) {
	t.Parallel()
	for body, kind := range map[string]string{
		"":                                 "empty",
		" \r\n":                            "empty",
		"<!DOCTYPE html>254712345678":      "HTML or XML",
		`{"msisdn":"254712345678"}`:        "JSON",
		`[254712345678]`:                   "JSON",
		"OK 254712345678":                  "text",
		strings.Repeat("254712345678", 10): "text",
	} {
		e := (&Reply{Status: 200, Body: []byte(body)}).NotUnderstood("x send")
		if e.Outcome != providers.Unknown || e.Scope != providers.Call || e.Cause != providers.CauseNotUnderstood {
			t.Errorf("%q: got %v, want unknown, call, not_understood", body, e)
		}
		if text := e.Error(); !strings.Contains(text, kind) || strings.Contains(text, "2547") {
			t.Errorf("%q: got the error text %s, want the kind of the body and no number", body, text)
		}
	}
}
