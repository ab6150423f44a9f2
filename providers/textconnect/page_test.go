package textconnect

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// page holds the tables of the vendor's page, unchanged. The headings in brackets are not
// from the vendor.
//
//go:embed testdata/page.txt
var page string

// notOffered lists items of the vendor's page that the package does not implement. The package
// comment has the reasons.
var notOffered = map[string]string{
	"ShowErrorMessage":           "its text adds nothing to the code",
	"CreateUser/Credit Reminder": "spelt CreditReminder here, as FastSMS does",
}

// fromElsewhere lists items that the package implements and that are not in a table of the vendor's
// page.
var fromElsewhere = map[string]string{
	"GetBGMessages":             "FastSMS: the vendor's page describes the action without its name",
	"EmptyGroup":                "vendor's page: a heading; FastSMS: the name",
	"DeleteGroup":               "vendor's page: a heading; FastSMS: the name",
	"EmptyGroup/Group":          "FastSMS",
	"DeleteGroup/Group":         "FastSMS",
	"CreateUser/CreditReminder": "FastSMS: without the space",
}

// sections splits the vendor's page at its headings. Every line belongs to a section. Non-breaking spaces become spaces.
func sections(t testing.TB) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	name := ""
	for line := range strings.SplitSeq(strings.TrimSuffix(strings.ReplaceAll(page, "\u00a0", " "), "\n"), "\n") {
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") && !strings.Contains(line, "{") {
			name = strings.Trim(line, "[]")
			continue
		}
		found[name] = append(found[name], line)
	}
	return found
}

// TestVendorPage_EverySectionIsRead fails if the vendor's page has a section that no test reads.
func TestVendorPage_EverySectionIsRead(t *testing.T) {
	t.Parallel()
	read := []string{
		"actions", "actions that have only a heading", "answers of GetBGMessages", "codes", "codes of GetBGMessages", "example of ImportContactsCSV",
		"fields of inbound", "parameters of CheckMessageStatus", "parameters of CreateUser", "parameters of GetBGMessages", "parameters of ImportContactsCSV",
		"parameters of Report", "parameters of Send", "parameters of UpdateCredits", "parameters of all", "results of ImportContactsCSV",
	}
	if got := slices.Sorted(maps.Keys(sections(t))); !slices.Equal(got, read) {
		t.Errorf("got the sections %q, want those that the tests read", got)
	}
}

func TestVendorPage_EveryCodeHasItsVerdict(t *testing.T) {
	t.Parallel()
	tables := sections(t)
	onPage := map[int]string{}
	for _, line := range slices.Concat(tables["codes"], tables["codes of GetBGMessages"]) {
		number, text, _ := strings.Cut(strings.Replace(line, " : ", " ", 1), " ")
		n, err := strconv.Atoi(number)
		if err != nil || text == "" {
			t.Errorf("the line %q has no code and text", line)
			continue
		}
		onPage[n] = text
		if codes[n].text != text {
			t.Errorf("code %d: got the text %q on the vendor's page and %q in the table codes, want the same", n, text, codes[n].text)
		}
	}
	for n := range codes {
		if onPage[n] == "" {
			t.Errorf("code %d is in the table codes but not on the vendor's page", n)
		}
	}
	judged := " " + strings.Join(slices.Collect(maps.Values(verdicts)), " ") + " "
	for n := range onPage {
		if strings.Count(judged, fmt.Sprintf(" %d ", n)) != 1 {
			t.Errorf("code %d is not exactly once in verdicts", n)
		}
	}
}

var quoted = regexp.MustCompile(`new parameter “(\w+)”`)

// onPage returns the actions and parameters of the vendor's page, in forms such as "Send" and "Send/Body".
func onPage(t testing.TB) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for section, lines := range sections(t) {
		switch action, isParameters := strings.CutPrefix(section, "parameters of "); {
		case isParameters:
			for _, line := range lines {
				name, _, _ := strings.Cut(line, " ")
				if strings.HasPrefix(line, "Credit Reminder ") {
					name = "Credit Reminder"
				}
				if action == "all" {
					found[name] = true
				} else {
					found[action+"/"+name] = true
				}
				for _, m := range quoted.FindAllStringSubmatch(line, -1) {
					found[action+"/"+m[1]] = true
				}
			}
		case section == "actions":
			for _, line := range lines {
				name, _, _ := strings.Cut(line, " to ")
				found[name] = true
			}
		case section == "actions that have only a heading":
			for _, line := range lines {
				if fromElsewhere[strings.ReplaceAll(line, " ", "")] == "" {
					t.Errorf("the heading %q has no action in fromElsewhere", line)
				}
			}
		}
	}
	return found
}

// TestVendorPage_EveryActionAndParameterIsSent calls every method of the package and compares the requests
// with the vendor's page.
func TestVendorPage_EveryActionAndParameterIsSent(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	wire := map[string]bool{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		mu.Lock()
		defer mu.Unlock()
		action := r.PostForm.Get("Action")
		wire[action] = true
		for name := range r.PostForm {
			if name == "Token" || name == "Action" {
				wire[name] = true
				continue
			}
			wire[action+"/"+name] = true
		}
		_, _ = io.WriteString(w, "1")
	}))
	t.Cleanup(web.Close)
	everything(t.Context(), open(t, Config{Endpoint: providers.Endpoint{BaseURL: web.URL}}))

	there := onPage(t)
	for name := range there {
		if !wire[name] && notOffered[name] == "" {
			t.Errorf("%s is on the vendor's page, but neither in a request nor in notOffered", name)
		}
		if wire[name] && notOffered[name] != "" {
			t.Errorf("%s is in a request, although it is in notOffered: %s", name, notOffered[name])
		}
	}
	for name := range wire {
		if there[name] == (fromElsewhere[name] != "") {
			t.Errorf("%s is in a request; on the vendor's page: %v; in fromElsewhere: %q; want exactly one of the two", name, there[name], fromElsewhere[name])
		}
	}
	for name := range notOffered {
		if !there[name] {
			t.Errorf("%s is in notOffered, but not on the vendor's page", name)
		}
	}
	for name := range fromElsewhere {
		if !wire[name] {
			t.Errorf("%s is in fromElsewhere, but in no request", name)
		}
	}
}

// everything calls every method of the package.
func everything(ctx context.Context, p *Provider) {
	message := SendOptions{ScheduleDate: time.Unix(1e9, 0), AllMessageIDs: true}
	_, _ = p.SendWith(ctx, batch(one), message)
	_, _ = p.SendStored(ctx, providers.StoredBatch{List: "L", From: "ACME", Body: "Hello"})
	_, _ = p.SendStored(ctx, providers.StoredBatch{Group: "G", From: "ACME", Body: "Hello"})
	_, _ = p.BackgroundMessages(ctx, "17")
	_, _ = p.Balance(ctx)
	_, _ = p.MessageStatus(ctx, "3509592")
	for _, kind := range p.ReportKinds() {
		_, _ = p.Report(ctx, kind, time.Time{}, time.Time{})
	}
	_, _ = p.ImportContactsCSV(ctx, contacts, ImportOptions{IgnoreDupes: true, OverwriteDupes: true})
	u := ann
	u.Telephone, u.CreditReminder, u.Alert = "1", 1, 1
	_ = p.CreateUser(ctx, u)
	for _, deed := range administration {
		_ = deed.do(ctx, p)
	}
}

func TestVendorPage_EveryAdminActionIsAnAction(t *testing.T) {
	t.Parallel()
	// These names need no Action. Some of them are part of every request. Others are implemented by a method of
	// an interface in package providers.
	contract := []string{"Action", "Token", "ShowErrorMessage", "CheckCredits", "CheckMessageStatus", "Send", "Report"}
	names := map[string]providers.Action{}
	for _, a := range Kind().Actions {
		names[a.Name] = a
	}
	there := onPage(t)
	for name := range fromElsewhere {
		there[name] = true
	}
	for name := range there {
		action, parameter, _ := strings.Cut(name, "/")
		a, ok := names[action]
		switch {
		case slices.Contains(contract, action) || notOffered[name] != "":
		case !ok:
			t.Errorf("%s is on the vendor's page, but is not an Action", action)
		case parameter != "" && !slices.Contains(a.Needs, parameter) && !slices.Contains(a.Takes, parameter):
			t.Errorf("the Action %s does not take the parameter %s", action, parameter)
		}
	}
	for _, name := range []string{"SendList", "SendGroup"} {
		a := names[name]
		for _, parameter := range slices.Concat(a.Needs, a.Takes) {
			if !there["Send/"+parameter] {
				t.Errorf("%s takes the parameter %s, which is not on the vendor's page", name, parameter)
			}
		}
	}
}

func TestVendorPage_ReportTypesAreEqual(t *testing.T) {
	t.Parallel()
	line := sections(t)["parameters of Report"][0]
	_, options, _ := strings.Cut(line, "Options are: ")
	options = regexp.MustCompile(`\([^)]*\)`).ReplaceAllString(options, "")
	var want []string
	for option := range strings.SplitSeq(options, ",") {
		want = append(want, strings.TrimSpace(option))
	}
	got := open(t, Config{}).ReportKinds()
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got kinds %q, want %q", got, want)
	}
}

func TestVendorPage_LimitsAreEqual(t *testing.T) {
	t.Parallel()
	send := strings.Join(sections(t)["parameters of Send"], "\n")
	for _, words := range []string{
		fmt.Sprintf("max %d characters", MaxChars), fmt.Sprintf("must be %d or less characters", MaxSenderAlpha),
		fmt.Sprintf("more than %d entries", MaxRecipients), fmt.Sprintf("maximum %d = 24 hours", MaxValidity/time.Second),
		fmt.Sprintf("%d for international, %d for alphanumeric", TONInternational, TONAlphanumeric),
	} {
		if !strings.Contains(send, words) {
			t.Errorf("the vendor's page does not contain %q", words)
		}
	}
}

func TestVendorPage_ExamplesAreRead(t *testing.T) {
	t.Parallel()
	tables := sections(t)
	results, details := []string{}, []string{}
	for _, line := range tables["example of ImportContactsCSV"] {
		if _, result, _ := strings.Cut(line, " : "); slices.Contains(importResults, result) {
			results = append(results, line)
		} else {
			details = append(details, line)
		}
	}
	got, ok := parseImport([]byte(strings.Join(results, "\n")+"\n\n\n"+strings.Join(details, "\n")), len(results))
	if !ok || len(details) != 2 || got[3].Detail != "No name" || got[4] != (ImportedLine{5, "Failed", "Invalid number (mynumber)"}) {
		t.Errorf("got the lines %+v, want the results and details of the vendor's example", got)
	}
	for _, word := range tables["results of ImportContactsCSV"] {
		if !slices.Contains(importResults, word) {
			t.Errorf("the result %q of the vendor's page is not in importResults", word)
		}
	}

	plainQuotes := strings.NewReplacer("“", `"`, "”", `"`, "″", `"`)
	example := regexp.MustCompile(`\[?\{.*\}\]?`)
	answers := tables["answers of GetBGMessages"]
	if len(answers) != 2 {
		t.Fatalf("got the answers %q, want 2", answers)
	}
	messages, _, ok := parseBackground([]byte(example.FindString(plainQuotes.Replace(answers[0]))))
	if !ok || len(messages) != 2 || messages[1].MessageID != "3509593" || messages[1].To != 447777777778 || messages[1].Status.State != "Sent" {
		t.Errorf("got the messages %+v, want the two messages of the vendor's example", messages)
	}
	if _, n, ok := parseBackground([]byte(example.FindString(plainQuotes.Replace(answers[1])))); ok || n != -521 {
		t.Errorf("the vendor's error: got the code %d and ok %v, want -521 and false", n, ok)
	}
	if !json.Valid([]byte(example.FindString(plainQuotes.Replace(answers[1])))) {
		t.Error("the vendor's example of an error is not valid JSON")
	}
}

func TestVendorPage_InboundFieldsAreRead(t *testing.T) {
	t.Parallel()
	for _, line := range sections(t)["fields of inbound"] {
		name, _, _ := strings.Cut(line, " – ")
		if name == "auth" {
			continue // covered by TestInbound_InvalidRequestsAreRefused
		}
		const mark = "2026-07-01 13:30:45" // mark is a valid value for every field
		form := url.Values{"id": {"x"}, "source": {"x"}}
		before, _ := parseInbound(form, zone(t))
		form.Set(name, mark)
		after, _ := parseInbound(form, zone(t))
		if fmt.Sprint(before) == fmt.Sprint(after) {
			t.Errorf("the field %s has no influence on the parsed message, want some", name)
		}
	}
}

func TestSecret_NotInNetworkErrors(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	web.Close()
	p := open(t, Config{Endpoint: providers.Endpoint{BaseURL: web.URL}})
	err := p.CreateUser(t.Context(), ann)
	if e := verdict(t, err); e.Cause != providers.CauseConnection || e.Outcome != providers.Retryable {
		t.Errorf("got the error %v, want retryable with the cause connection", err)
	}
	if errors.Unwrap(err) == nil {
		t.Error("got no underlying error, want one")
	}
}
