package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
)

// mixedList has seven recipients: four valid numbers, one duplicate and two invalid numbers.
const mixedList = "name,phone\nA,0712345678\nB,+254 712 345 679\nC,254712345678\nD,n/a\nE,0712 345 680\nF,=1+1\nG,0712-345-681\n"

func (h *fixture) status(id string) producer.Status {
	h.t.Helper()
	out, _ := h.mustRun("status", id, "--json")
	var st producer.Status
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		h.t.Fatalf("status --json: %v\n%s", err, out)
	}
	return st
}

func (h *fixture) campaigns() []producer.Status {
	h.t.Helper()
	out, _ := h.mustRun("list", "--all", "--json")
	var all []producer.Status
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		h.t.Fatalf("list --json: %v\n%s", err, out)
	}
	return all
}

// sentCampaign returns a fixture that has sent mixedList as the campaign "sale". It also returns
// the arguments of the command that sent the campaign.
func sentCampaign(t *testing.T) (h *fixture, send []string) {
	t.Helper()
	h = newFixture(t, simulator.Options{})
	h.startWorker()
	send = []string{"send", "--id", "sale", "--via", "kobo-main", "--body", "Hello", "--file", h.file("customers.csv", mixedList)}
	out, errOut, exit := h.run(append(send, "--wait")...)
	if exit != exitNotAll || !strings.Contains(out, "sale: done") || !strings.Contains(errOut, "enqueued 7 recipients as sale") {
		t.Fatalf("got exit %d and output\n%s%s\nwant exit 3, state done and 7 recipients", exit, out, errOut)
	}
	st := h.status("sale")
	if st.State != producer.Done || st.Total != 7 || st.Accepted != 4 || st.Skipped != 3 || st.Calls != 1 || st.Reasons["duplicate"] != 1 {
		t.Errorf("got status %+v, want done with 4 accepted and 3 skipped in 1 call", st)
	}
	return h, send
}

func TestSend_SameContentChangesNothing(t *testing.T) {
	t.Parallel()
	h, send := sentCampaign(t)
	out, errOut := h.mustRun(send...)
	if out != "sale\n" || !strings.Contains(errOut, "sale already exists with the same content") {
		t.Errorf("got output %s%s, want the ID sale and a note that it already exists", out, errOut)
	}
	other := slices.Clone(send)
	other[6] = "Hullo"
	if out, errOut, exit := h.run(other...); exit != exitMisuse || out != "" || !strings.Contains(errOut, "nothing was enqueued: use another --id") {
		t.Errorf("got exit %d and output %s%s, want exit 2 and a note that nothing was enqueued", exit, out, errOut)
	}
	if n := h.gateway.Stats(); n.Accepted != 4 || n.Calls != 1 {
		t.Errorf("gateway: got %+v, want 4 accepted messages in 1 call", n)
	}
}

func TestResults_OfASentCampaign(t *testing.T) {
	t.Parallel()
	h, _ := sentCampaign(t)
	out, _ := h.mustRun("results", "sale")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 8 {
		t.Fatalf("results: got error %v and %d rows, want 8 rows", err, len(rows))
	}
	var got []string
	for _, row := range rows[1:] {
		if row[2] == "skipped" {
			row[1] = "" // the test does not compare the phone number of a skipped row
		}
		got = append(got, strings.Join([]string{row[0], row[1], row[2], row[3], row[12]}, "|"))
	}
	want := []string{"1|254712345678|accepted||0712345678", "2|254712345679|accepted||+254 712 345 679", "3||skipped|duplicate|254712345678",
		"4||skipped|invalid_number|n/a", "5|254712345680|accepted||0712 345 680", "6||skipped|invalid_number|'=1+1", "7|254712345681|accepted||0712-345-681"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	out, _ = h.mustRun("results", "sale", "--status", "skipped", "--format", "jsonl")
	if strings.Count(out, "\n") != 3 || !strings.Contains(out, `"input":"=1+1"`) {
		t.Errorf("results of skipped recipients as jsonl: got\n%s\nwant 3 lines, one of them with the input =1+1", out)
	}
	if out, errOut, exit := h.run("results", "missing"); exit != exitMisuse || out != "" || !strings.Contains(errOut, "no such campaign") {
		t.Errorf("results of an unknown campaign: got exit %d and output %s%s, want exit 2 and \"no such campaign\"", exit, out, errOut)
	}
	if _, errOut, exit := h.run("results", "sale", "--status", "sent"); exit != exitMisuse || !strings.Contains(errOut, "--status: \"sent\" must be pending,") {
		t.Errorf("results --status sent: got exit %d and standard error %s, want exit 2 and the valid statuses", exit, errOut)
	}
}

func TestPauseCancelResumeRetry_OfAnEndedCampaignChangeNothing(t *testing.T) {
	t.Parallel()
	h, _ := sentCampaign(t)
	for order, want := range map[string]string{"pause": "nothing to stop", "cancel": "nothing to stop", "resume": "nothing left to send"} {
		if out, _ := h.mustRun(order, "sale"); out != "sale has already ended: "+want+"\n" {
			t.Errorf("%s of an ended campaign printed %s, want %q", order, out, want)
		}
	}
	if st := h.status("sale"); st.State != producer.Done {
		t.Errorf("got status %+v, want done", st)
	}
	if out, _ := h.mustRun("retry", "sale", "--unknown", "--rejected"); out != "sale has no recipients with the chosen status: nothing to send again\n" {
		t.Errorf("retry printed %s, want \"nothing to send again\"", out)
	}
}

func TestGatewayStatus_OfASentMessage(t *testing.T) {
	t.Parallel()
	h, _ := sentCampaign(t)
	out, _ := h.mustRun("results", "sale", "--status", "accepted")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if out, _ := h.mustRun("gateway", "status", "kobo-main", rows[1][5]); !strings.Contains(out, "DELIVRD") {
		t.Errorf("gateway status: got %s, want DELIVRD", out)
	}
	out, errOut, exit := h.run("gateway", "status", "kobo-main", "missing", rows[1][5], "--json")
	if exit != exitFailed || !strings.Contains(out, "DELIVRD") || !strings.Contains(errOut, "message missing") {
		t.Errorf("got exit %d and output %s%s, want exit 1, DELIVRD and an error about the message \"missing\"", exit, out, errOut)
	}
}

func TestSend_SameCampaignWithoutIDIsSentOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	send := []string{"send", "--via", "kobo-main", "--body", "Hello", "--wait"}
	const list = "0712345678\n0712345679\n0712345678\n"
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if out, errOut, exit := h.runWithInput(list, send...); exit != exitDone {
				t.Errorf("got exit %d and output %s%s, want exit 0", exit, out, errOut)
			}
		})
	}
	all.Wait()
	_, errOut, exit := h.runWithInput(list, send...)
	if exit != exitDone || !strings.Contains(errOut, "already sent as c-") || !strings.Contains(errOut, "--again sends it again") {
		t.Errorf("got exit %d and standard error %s, want exit 0 and a note that the campaign was already sent", exit, errOut)
	}
	if n := h.gateway.Stats(); n.Accepted != 2 || len(h.campaigns()) != 1 {
		t.Errorf("got %d campaigns and gateway counts %+v, want 1 campaign and 2 accepted messages", len(h.campaigns()), n)
	}
	if out, errOut, exit := h.runWithInput(list, append(send, "--again", "--json")...); exit != exitDone || !strings.Contains(out, `"again": false`) {
		t.Errorf("got exit %d and output %s%s, want exit 0 and again: false", exit, out, errOut)
	}
	if n := h.gateway.Stats(); n.Accepted != 4 || len(h.campaigns()) != 2 {
		t.Errorf("after --again: got %d campaigns and gateway counts %+v, want 2 campaigns and 4 accepted messages", len(h.campaigns()), n)
	}
}

func TestSend_BadInputEnqueuesNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	tests := map[string]struct {
		in   string
		args []string
		want string
	}{
		"empty":              {"", nil, "standard input is empty"},
		"no column":          {"name,town\nA,B\n", nil, "standard input:1: no column of numbers"},
		"all invalid":        {"phone\nn/a\n12\n", nil, "standard input: none of 2 numbers is valid; the first error: parse number"},
		"all of other lands": {"0803 123 4567\n", []string{"--id", "x"}, "national numbers were read as numbers of KE"},
		"error at the end":   {"phone,x\n0712345678,1\n0712345679,1,2\n", []string{"--id", "x"}, "standard input:3: the row has 3 fields"},
		"unknown account":    {"0712345678", []string{"--via", "nope"}, `--via: no worker serves an account "nope"; the accounts are kobo-main`},
		"sender too long":    {"0712345678", []string{"--from", "ACME-AND-SONS"}, "--from: sender \"ACME-AND-SONS\" has 13 characters, the gateway takes at most 11"},
		"body too long":      {"0712345678", []string{"--body", strings.Repeat("x", 906)}, "--body: the body has 906 characters; account kobo-main allows 905"},
		"empty body":         {"0712345678", []string{"--body", " "}, "--body: must not be empty"},
		"no header":          {"0712345678", []string{"--body", "Dear {{name}}"}, `standard input:1: a plain list of numbers has no column "name"`},
		"no such column":     {"phone,town\n0712345678,Thika\n", []string{"--body", "Dear {{name}}"}, "the text has {{name}}, but the header has no column of that name"},
		"an open field":      {"0712345678", []string{"--body", "Dear {{name"}, "--body: character 6: {{ opens a merge field that is not closed"},
		"an unknown filter":  {"0712345678", []string{"--body", "{{name:shout}}"}, `--body: character 1: unknown filter "shout"; it must be one of upper`},
		"a date in the past": {"0712345678", []string{"--start-at", "2020-01-01T00:00:00Z"}, "--start-at: 2020-01-01T00:00:00Z is in the past"},
		"on-unknown":         {"0712345678", []string{"--on-unknown", "drop"}, `--on-unknown: "drop" must be keep or resend`},
		"two expiries":       {"0712345678", []string{"--expires-in", "1h", "--expires-at", "2120-01-01T00:00:00Z"}, "--expires-in: set either"},
		"bad id":             {"0712345678", []string{"--id", "a b"}, "--id:"},
		"bad class":          {"0712345678", []string{"--class", "vip"}, `--class: "vip" must be`},
		"several at once":    {"0712345678", []string{"--class", "vip", "--via", "nope"}, "--via: no worker serves"},
	}
	for name, tt := range tests {
		args := append([]string{"send", "--via", "kobo-main", "--body", "Hello"}, tt.args...)
		out, errOut, exit := h.runWithInput(tt.in, args...)
		if exit != exitMisuse || out != "" || !strings.Contains(errOut, tt.want) {
			t.Errorf("%s: got exit %d and output %s%s\nwant %s", name, exit, out, errOut, tt.want)
		}
	}
	if all := h.campaigns(); len(all) != 0 {
		t.Errorf("got campaigns %+v, want none", all)
	}
}

func TestSend_WarnsIfOnUnknownMayResend(t *testing.T) {
	t.Parallel()
	gateway := catalog.Simulate(simulator.Options{})
	server := httptest.NewServer(gateway)
	t.Cleanup(func() { gateway.Close(); server.Close() })
	c := newCLI(t, `
redis: {url: "`+redistest.Start(t, redistest.WithAOF("no")).URL()+`"}
accounts:
  keyed: {provider: kobo, base_url: "`+server.URL+`/kobo", user: demo, pass: demo, sender: ACME, on_unknown: resend}
  careful: {provider: africastalking, base_url: "`+server.URL+`/africastalking", username: demo, api_key: demo, sender: ACME}
  bold: {provider: africastalking, base_url: "`+server.URL+`/africastalking", username: demo, api_key: demo, sender: ACME, on_unknown: resend}
default_country: KE
windows: off
`)
	c.start("worker")
	eventually(t, "the worker to publish its accounts", func() bool {
		out, _, _ := c.run("accounts", "--json")
		return strings.Count(out, `"workers": 1`) == 3
	})
	const warning = "may receive it twice"
	for id, tt := range map[string]struct {
		args  []string
		warns bool
	}{
		"a key":               {[]string{"--via", "keyed", "--on-unknown", "resend"}, false},
		"not set":             {[]string{"--via", "careful"}, false},
		"set by the campaign": {[]string{"--via", "careful", "--on-unknown", "resend"}, true},
		"set by the account":  {[]string{"--via", "bold"}, true},
		"campaign overrides":  {[]string{"--via", "bold", "--on-unknown", "keep"}, false},
	} {
		args := append([]string{"send", "--id", strings.ReplaceAll(id, " ", "-"), "--body", "Hello", "--wait"}, tt.args...)
		out, errOut, exit := c.runWithInput("0712345678", args...)
		if exit != exitDone || strings.Contains(errOut, warning) != tt.warns || strings.Contains(out, "may get the message twice") != tt.warns {
			t.Errorf("%s: got exit %d and output %s%s; want exit 0, and a warning: %v", id, exit, out, errOut, tt.warns)
		}
		if _, errOut, _ := c.runWithInput("0712345678", args...); strings.Contains(errOut, warning) {
			t.Errorf("%s: the repeated command sends nothing, but printed a warning: %s", id, errOut)
		}
	}
}

func TestPause_ResumeHoldAndReleasePrintTheirResult(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{Latency: 50 * time.Millisecond})
	h.startWorker()
	h.mustRun("hold", "kobo-main", "--reason", "lunch")
	if _, _, exit := h.runWithInput("0712345678\n", "send", "--id", "a", "--via", "kobo-main", "--body", "Hello"); exit != exitDone {
		t.Fatalf("send: got exit %d, want 0", exit)
	}
	out, _ := h.mustRun("status", "a")
	if !strings.Contains(out, "waiting: account kobo-main is on hold: lunch") {
		t.Errorf("status does not show what the campaign waits for:\n%s", out)
	}
	if out, _ = h.mustRun("accounts"); !strings.Contains(out, "lunch by operator") {
		t.Errorf("accounts does not show the reason of the hold:\n%s", out)
	}
	if out, _ = h.mustRun("pause", "a"); out != "a is paused\n" || h.status("a").State != producer.Paused {
		t.Errorf("pause printed %s; want \"a is paused\" and the state paused", out)
	}
	// `tuma send --wait` does not wait if the campaign is paused.
	if out, _, exit := h.runWithInput("0712345678\n", "send", "--id", "a", "--via", "kobo-main", "--body", "Hello", "--wait"); exit != exitNotAll ||
		!strings.Contains(out, "waiting: paused") {
		t.Errorf("send --wait of a paused campaign: got exit %d and output %s, want exit 3 and \"waiting: paused\"", exit, out)
	}
	if out, _ = h.mustRun("release", "kobo-main"); out != "account kobo-main is released\n" {
		t.Errorf("release printed %s", out)
	}
	if out, _ = h.mustRun("release", "kobo-main"); out != "account kobo-main was not on hold\n" {
		t.Errorf("release printed %s", out)
	}
	if h.gateway.Stats().Calls != 0 {
		t.Error("the gateway accepted messages of a paused campaign")
	}
	if out, _ = h.mustRun("resume", "a"); out != "a is resumed\n" {
		t.Errorf("resume printed %s, want \"a is resumed\"", out)
	}
	if out, errOut := h.mustRun("status", "a", "--watch"); !strings.Contains(out, "a: done") || !strings.Contains(errOut, "a: done, 1 of 1") {
		t.Errorf("status --watch: got output\n%s%s\nwant the progress and the status at the end", out, errOut)
	}
	if _, errOut, exit := h.run("hold", "missing"); exit != exitMisuse || !strings.Contains(errOut, "'tuma accounts' shows all accounts") {
		t.Errorf("hold of an unknown account: got exit %d and standard error %s, want exit 2 and a hint at tuma accounts", exit, errOut)
	}
}

func TestCancel_WaitsForCallsInFlight(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{Latency: time.Second})
	h.startWorker()
	var list strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&list, "07%08d\n", 10_000_000+i)
	}
	if _, errOut, exit := h.runWithInput(list.String(), "send", "--id", "big", "--via", "kobo-main", "--body", "Hello"); exit != exitDone {
		t.Fatalf("send: got exit %d and standard error %s, want exit 0", exit, errOut)
	}
	eventually(t, "a call in flight", func() bool { return h.gateway.Stats().InFlight > 0 })
	out, errOut := h.mustRun("cancel", "big")
	inFlightCalls := h.gateway.Stats().InFlight
	if out != "big is cancelled\n" || !strings.Contains(errOut, " in flight") || inFlightCalls != 0 {
		t.Errorf("cancel printed %s%s; got %d calls still in flight, want 0", out, errOut, inFlightCalls)
	}
	st := h.status("big")
	if st.State != producer.Cancelled || int64(st.Accepted) != h.gateway.Stats().Accepted || st.Accepted+st.Reasons["cancelled"] != 10_000 || st.Reasons["cancelled"] == 0 {
		t.Errorf("got status %+v; want cancelled, the accepted messages of the gateway, and all other recipients skipped", st)
	}
	if out, _ := h.mustRun("cancel", "big", "--no-wait"); out != "big is cancelled\n" {
		t.Errorf("the second cancel printed %s, want \"big is cancelled\"", out)
	}
	if out, _ := h.mustRun("pause", "big"); out != "big is already cancelled: nothing to stop\n" {
		t.Errorf("pause of a cancelled campaign printed %s; want \"big is already cancelled\"", out)
	}
	if _, errOut, exit := h.run("resume", "big"); exit != exitFailed || !strings.Contains(errOut, "the campaign was cancelled, which is permanent") {
		t.Errorf("resume: got exit %d and standard error %s, want exit 1 and a note that the cancellation is permanent", exit, errOut)
	}
}

func TestRetry_SendsRejectedAgain(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	kobosim.Of(h.gateway).SetInvalid("error_number", 254712345678)
	h.startWorker()
	_, errOut, exit := h.runWithInput("0712345678\n0712345679\n", "send", "--id", "a", "--via", "kobo-main", "--body", "Hello", "--wait")
	if st := h.status("a"); exit != exitNotAll || st.Rejected != 1 || st.Accepted != 1 {
		t.Fatalf("got exit %d, standard error %s and status %+v; want exit 3, 1 accepted and 1 rejected", exit, errOut, st)
	}
	h.gateway.Reset()
	if out, _ := h.mustRun("retry", "a", "--rejected"); out != "a: sending again to 1 recipient\n" {
		t.Errorf("retry printed %s, want \"sending again to 1 recipient\"", out)
	}
	if out, _ := h.mustRun("status", "a", "--watch"); !strings.Contains(out, "done") {
		t.Errorf("status --watch printed %s, want the state done", out)
	}
	if st := h.status("a"); st.Accepted != 2 || st.Rejected != 0 {
		t.Errorf("got status %+v, want 2 accepted and 0 rejected", st)
	}
}
