package main

import (
	"encoding/csv"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// newGatewayCLI returns a cli with one account at every gateway of the catalog. The account has the
// name of its provider.
func newGatewayCLI(t *testing.T, o simulator.Options) (*cli, *simulator.Server) {
	t.Helper()
	gateway := catalog.Simulate(o)
	server := httptest.NewServer(gateway)
	t.Cleanup(func() { gateway.Close(); server.Close() })
	config := strings.ReplaceAll(sandboxAccounts(strings.TrimPrefix(server.URL, "http://")), "try-", "")
	_, config, _ = strings.Cut(config, "accounts:\n")
	return newCLI(t, "accounts:\n"+config), gateway
}

func TestSandbox_ConfigurationWorksForEveryGateway(t *testing.T) {
	t.Parallel()
	c, _ := newGatewayCLI(t, simulator.Options{Credit: 17})
	out, _ := c.mustRun("balance")
	for _, name := range catalog.Names() {
		if !strings.Contains(out, name) {
			t.Errorf("tuma balance printed no balance of %s:\n%s", name, out)
		}
	}
	if strings.Count(out, " 17") != len(catalog.Names()) {
		t.Errorf("got balances\n%s\nwant 17 at every gateway", out)
	}
	if text := sandboxAccounts("0.0.0.0:8025"); strings.Count(text, "allow_http: true") != len(catalog.Names()) {
		t.Errorf("for an address that is not loopback: got\n%s\nwant allow_http: true for every account", text)
	}
}

func TestGatewayReports_PrintAndRefuse(t *testing.T) {
	t.Parallel()
	c, _ := newGatewayCLI(t, simulator.Options{})
	out, _ := c.mustRun("gateway", "reports", "textconnect", "inboundmessages", "--csv", "--from", "2000-01-01T00:00:00Z")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) < 2 || len(rows[0]) < 3 {
		t.Errorf("report inboundmessages as CSV: got error %v and output\n%s\nwant a header and rows", err, out)
	}
	out, _ = c.mustRun("gateway", "reports", "textconnect", "Messages", "--json")
	if out != "[]\n" {
		t.Errorf("report of an account that has sent nothing: got %s, want []", out)
	}
	out, errOut := c.mustRun("gateway", "reports", "connectmedia")
	if out != "" || !strings.Contains(errOut, "report history: the gateway returned no entries for that period") {
		t.Errorf("report of an empty history: got output %q and standard error %q, want only a note that there are no entries", out, errOut)
	}
	for want, args := range map[string][]string{
		`account textconnect has no report "Sales"; reports: Messages, `: {"textconnect", "Sales"},
		"provider qserve does not support reports":                       {"qserve"},
		`--from: "yesterday" must be a time, e.g. 2025-12-01`:            {"textconnect", "--from", "yesterday"},
		"--to must not be before --from":                                 {"textconnect", "--from", "2026-11-02T00:00:00Z", "--to", "2026-11-01T00:00:00Z"},
		`unexpected argument "Outbox"`:                                   {"textconnect", "Usage", "Outbox"},
		"--json and --csv: use only one of them":                         {"textconnect", "--json", "--csv"},
	} {
		if out, errOut, exit := c.run(append([]string{"gateway", "reports"}, args...)...); exit != exitMisuse || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("%v: got exit %d and output %s%s, want exit 2 and the reason on standard error", args, exit, out, errOut)
		}
	}
}

func TestGatewayInbox_ContinuesAfterAMessage(t *testing.T) {
	t.Parallel()
	c, gateway := newGatewayCLI(t, simulator.Options{Users: map[string]string{"any": "any"}})
	var messages []map[string]string
	out, _ := c.mustRun("gateway", "inbox", "africastalking", "--json")
	if err := json.Unmarshal([]byte(out), &messages); err != nil || len(messages) < 2 {
		t.Fatalf("inbox --json: got error %v and output\n%s\nwant at least two messages", err, out)
	}
	first := messages[0]
	if first["id"] == "" || first["from"] == "" || first["to"] == "" || first["text"] == "" || first["at"] == "" {
		t.Errorf("got message %v, want a value in id, from, to, text and at", first)
	}
	last := messages[len(messages)-1]["id"]
	out, errOut := c.mustRun("gateway", "inbox", "africastalking", "--after", first["id"])
	if strings.Contains(out, first["text"]) || strings.Count(out, "\n") != len(messages) || errOut != "for newer messages use --after "+last+"\n" {
		t.Errorf("inbox after the first message: got\n%s%s\nwant all other messages and the ID of the last one", out, errOut)
	}
	if out, errOut := c.mustRun("gateway", "inbox", "africastalking", "--after", last); out != "" || errOut != "no messages\n" {
		t.Errorf("inbox after the last message: got\n%s%s\nwant only \"no messages\"", out, errOut)
	}
	if out, errOut := c.mustRun("gateway", "inbox", "connectmedia"); !strings.HasPrefix(out, "ID") || strings.Count(out, "\n") < 2 || errOut != "" {
		t.Errorf("inbox of connectmedia: got\n%s%s\nwant a header and messages, and no standard error", out, errOut)
	}
	gateway.SetPassword("any", "other")
	if out, errOut, exit := c.run("gateway", "inbox", "africastalking"); exit != exitFailed || out != "" || !strings.Contains(errOut, "credentials") {
		t.Errorf("inbox with a wrong password: got exit %d and output %s%s, want exit 1 and an error about credentials", exit, out, errOut)
	}
}

func TestGatewayAction_PrintsItsOutcome(t *testing.T) {
	t.Parallel()
	c, _ := newGatewayCLI(t, simulator.Options{})
	act := func(args ...string) string {
		t.Helper()
		out, _ := c.mustRun(append([]string{"gateway", "textconnect", "textconnect"}, args...)...)
		return out
	}
	password := c.file("password", "s3cr3t-word\n")
	if out := act("createuser", "ChildUsername=bob", "childpassword=@"+password, "AccessLevel=Normal", "FirstName=Bob", "LastName=O=Hara", "Email=b@example.com", "Credits=5"); out != "CreateUser: done\n" {
		t.Errorf("got %q, want \"CreateUser: done\"", out)
	}
	if out := act("UpdateCredits", "ChildUsername=bob", "Quantity=-2"); out != "UpdateCredits: done\n" {
		t.Errorf("got %q, want \"UpdateCredits: done\"", out)
	}
	contacts := c.file("contacts.csv", "Zuri,447700900917,,\nObi,nonsense,,vip\n")
	out := act("ImportContactsCSV", "ContactsCSV=@"+contacts)
	if !strings.Contains(out, "Success") || !strings.Contains(out, "Failed") || strings.Count(out, "\n") != 3 {
		t.Errorf("got\n%s\nwant one row that succeeded and one that failed", out)
	}
	if out := act("DeleteAllContacts", "--yes"); out != "DeleteAllContacts: done\n" {
		t.Errorf("got %q, want \"DeleteAllContacts: done\"", out)
	}
	for want, args := range map[string][]string{
		"account textconnect: DeleteAllGroups deletes all groups permanently; confirm with --yes": {"DeleteAllGroups"},
		"SendList sends to every number in the list; Tuma keeps no record, so nothing prevents sending the message twice; confirm with --yes": {
			"SendList", "ListName=Everyone", "SourceAddress=ACME", "Body=Hello",
		},
		`provider textconnect has no action "Dance"; actions: CreateUser, `:     {"Dance"},
		"UpdateCredits needs Quantity=…":                                        {"UpdateCredits", "ChildUsername=bob"},
		`UpdateCredits does not take "Color"; it takes ChildUsername, Quantity`: {"UpdateCredits", "ChildUsername=bob", "Quantity=1", "Color=red"},
		"parameter ChildUsername is set twice":                                  {"UpdateCredits", "ChildUsername=bob", "childusername=eve", "Quantity=1"},
		"parameter 2 must be KEY=VALUE; usage: UpdateCredits ChildUsername=… Q": {"UpdateCredits", "ChildUsername=bob", "s3cr3t"},
		"parameter 1 must be KEY=VALUE; usage: UpdateCredits":                   {"UpdateCredits", "=s3cr3t", "ChildUsername=bob"},
		"Quantity: open nowhere: no such file":                                  {"UpdateCredits", "ChildUsername=bob", "Quantity=@nowhere"},
	} {
		out, errOut, exit := c.run(append([]string{"gateway", "textconnect", "textconnect"}, args...)...)
		if exit != exitMisuse || out != "" || !strings.Contains(errOut, want) || strings.Count(errOut, "\n") != 1 || strings.Contains(errOut, "s3cr3t") {
			t.Errorf("%v: got exit %d and output %s%s, want exit 2 and one line without the password", args, exit, out, errOut)
		}
	}
	if _, errOut, exit := c.run("gateway", "textconnect", "kobo", "DeleteAllGroups"); exit != exitMisuse || !strings.Contains(errOut, "account kobo belongs to provider kobo, not textconnect") {
		t.Errorf("got exit %d and standard error %s, want exit 2 and the provider of the account", exit, errOut)
	}
	if _, errOut, exit := c.run("gateway", "textconnect", "textconnect", "UpdateCredits", "ChildUsername=missing", "Quantity=1"); exit != exitFailed || !strings.Contains(errOut, "-509") {
		t.Errorf("got exit %d and standard error %s, want exit 1 and the code -509", exit, errOut)
	}
	out, _, _ = c.runWithInput("7\n", "gateway", "textconnect", "textconnect", "UpdateCredits", "ChildUsername=bob", "Quantity=@-")
	if out != "UpdateCredits: done\n" {
		t.Errorf("with a value from standard input: got %q, want \"UpdateCredits: done\"", out)
	}
}

func TestGatewayAction_FailedLinesAndOtherCommands(t *testing.T) {
	t.Parallel()
	c, gateway := newGatewayCLI(t, simulator.Options{})
	tc := func(args ...string) (out, errOut string, exit int) {
		return c.run(append([]string{"gateway", "textconnect", "textconnect"}, args...)...)
	}
	if out, errOut, exit := tc("ImportContactsCSV", "ContactsCSV=A,mynumber"); exit != exitFailed || !strings.Contains(out, "Invalid number") || !strings.Contains(errOut, "the gateway has imported none of 1 lines") {
		t.Errorf("an import that fails: got exit %d and output %s%s, want exit 1, the lines and their number", exit, out, errOut)
	}
	if out, errOut, exit := tc("ImportContactsCSV", "ContactsCSV=Contact 1,447777777771,,group1"); exit != 0 || !strings.Contains(out, "Success") {
		t.Errorf("an import: got exit %d and output %s%s, want exit 0", exit, out, errOut)
	}
	for action, command := range map[string]string{
		"checkcredits": "tuma balance textconnect", "Report": "tuma gateway reports textconnect", "CheckMessageStatus": "tuma gateway status textconnect MESSAGE-ID",
	} {
		if _, errOut, exit := tc(action); exit != exitMisuse || !strings.Contains(errOut, "(there is: "+command+")") {
			t.Errorf("%s: got exit %d and %s, want exit 2 and the command %s", action, exit, errOut, command)
		}
	}
	if err := gateway.Fail(simulator.Fault{Name: "html", N: 1, Everything: true, Gateway: "textconnect"}); err != nil {
		t.Fatal(err)
	}
	if _, errOut, exit := tc("GetBGMessages", "BGSendID=101"); exit != exitFailed || strings.Contains(errOut, "carried out") {
		t.Errorf("a read without an answer: got exit %d and %s, want exit 1 and no word about an action that was carried out", exit, errOut)
	}
	gateway.ClearFaults()
	out, errOut, exit := tc("Send", "DestinationAddress=447777777771", "SourceAddress=ACME", "Body="+strings.Repeat("x", 200), "GetAllMessageIDs=1", "--yes", "--csv")
	if exit != 0 || !strings.HasPrefix(out, "DestinationAddress,outcome,MessageID,further IDs,code\n447777777771,accepted,") || strings.Contains(out, ",,") {
		t.Errorf("Send: got exit %d and output %s%s, want both IDs", exit, out, errOut)
	}
}

func TestGatewayAction_WithoutAnAnswerMayHaveHappened(t *testing.T) {
	t.Parallel()
	c, gateway := newGatewayCLI(t, simulator.Options{})
	gateway.FailNext(1, "accept_close")
	send := []string{"gateway", "textconnect", "textconnect", "SendList", "ListName=Everyone", "SourceAddress=ACME", "Body=Hello", "--yes"}
	const hint = "the gateway may have carried out the action: check at the gateway, or with tuma gateway reports textconnect, before you run the action again"
	if out, errOut, exit := c.run(send...); exit != exitFailed || out != "" || !strings.Contains(errOut, hint) {
		t.Errorf("got exit %d and output %s%s, want exit 1 and a hint where to check", exit, out, errOut)
	}
	if out, errOut := c.mustRun(send...); !strings.HasPrefix(out, "BGSENDID") || strings.Contains(errOut, hint) {
		t.Errorf("the second SendList: got output %s%s, want BGSENDID and no advice to check", out, errOut)
	}
	send[4] = "ListName=Unlisted"
	if _, errOut, exit := c.run(send...); exit != exitFailed || !strings.Contains(errOut, "rejected") || strings.Contains(errOut, hint) {
		t.Errorf("an action that the gateway rejects: got exit %d and standard error %s, want exit 1 and no advice to check", exit, errOut)
	}
}
