package textconnect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// messageNeeds and messageTakes are the required and the optional parameters of every send.
var messageNeeds, messageTakes = []string{"SourceAddress", "Body"}, []string{"ScheduleDate", "SourceTON", "ValidityPeriod"}

// pastTheLedger is the end of the confirmation text for an action that sends messages without a record in the
// ledger.
const pastTheLedger = "; Tuma keeps no record, so nothing prevents sending the message twice"

// actions returns the administrative actions, under the vendor's names.
func actions() []providers.Action {
	type params = map[string]string
	nothing := func(do func(*Provider, context.Context) error) doing {
		return func(ctx context.Context, p *Provider, _ params) (providers.Table, error) {
			return providers.Table{}, do(p, ctx)
		}
	}
	group := func(do func(*Provider, context.Context, string) error) doing {
		return func(ctx context.Context, p *Provider, in params) (providers.Table, error) {
			return providers.Table{}, do(p, ctx, in["Group"])
		}
	}
	stored := func(batch func(name string) providers.StoredBatch, field string) doing {
		return func(ctx context.Context, p *Provider, in params) (providers.Table, error) {
			return sendStored(ctx, p, batch(in[field]), in)
		}
	}
	list := []providers.Action{
		{
			Name: "CreateUser", Does: "create a child user; the account must have admin access",
			Needs: []string{"ChildUsername", "ChildPassword", "AccessLevel", "FirstName", "LastName", "Email", "Credits"},
			Takes: []string{"Telephone", "CreditReminder", "Alert"}, Do: createUser.do("CreateUser"),
		},
		{
			Name: "UpdateCredits", Does: "move credits to a child user; a negative Quantity moves them back",
			Needs: []string{"ChildUsername", "Quantity"}, Do: updateCredits.do("UpdateCredits"),
		},
		{
			Name: "ImportContactsCSV", Does: "add contacts, one a line: name,number,email,group,…",
			Needs: []string{"ContactsCSV"}, Takes: []string{"IgnoreDupes", "OverwriteDupes"}, Do: importContacts.do("ImportContactsCSV"),
			Failed: failedLines,
		},
		{Name: "DeleteAllContacts", Does: "delete all contacts", Confirm: "deletes all contacts permanently", Do: nothing((*Provider).DeleteAllContacts).do("DeleteAllContacts")},
		{Name: "DeleteAllGroups", Does: "delete all groups", Confirm: "deletes all groups permanently", Do: nothing((*Provider).DeleteAllGroups).do("DeleteAllGroups")},
		{
			Name: "EmptyGroup", Does: "remove all contacts from a group", Needs: []string{"Group"},
			Confirm: "removes all contacts from the group permanently", Do: group((*Provider).EmptyGroup).do("EmptyGroup"),
		},
		{
			Name: "DeleteGroup", Does: "delete a group", Needs: []string{"Group"},
			Confirm: "deletes the group permanently", Do: group((*Provider).DeleteGroup).do("DeleteGroup"),
		},
		{
			Name: "Send", Does: "send a message to numbers; ScheduleDate sets the time; for a single number, GetAllMessageIDs shows the ID of each segment; Tuma keeps no record",
			Needs: append([]string{"DestinationAddress"}, messageNeeds...), Takes: append([]string{"GetAllMessageIDs"}, messageTakes...),
			Confirm: "sends to the numbers" + pastTheLedger, Do: sendNumbers.do("Send"),
		},
		{
			Name: "SendList", Does: "send a message to a list stored at the gateway; Tuma keeps no record",
			Needs: append([]string{"ListName"}, messageNeeds...), Takes: messageTakes,
			Confirm: "sends to every number in the list" + pastTheLedger,
			Do:      stored(func(name string) providers.StoredBatch { return providers.StoredBatch{List: name} }, "ListName").do("SendList"),
		},
		{
			Name: "SendGroup", Does: "send a message to a group stored at the gateway; Tuma keeps no record",
			Needs: append([]string{"GroupName"}, messageNeeds...), Takes: messageTakes,
			Confirm: "sends to every number in the group" + pastTheLedger,
			Do:      stored(func(name string) providers.StoredBatch { return providers.StoredBatch{Group: name} }, "GroupName").do("SendGroup"),
		},
		{
			Name: "GetBGMessages", Does: "show the messages of a background send to a list or group",
			Needs: []string{"BGSendID"}, Reads: true, Do: backgroundMessages.do("GetBGMessages"),
		},
	}
	return list
}

// The type "doing" is a function that performs one of the gateway's actions through this package's Provider.
type doing func(ctx context.Context, p *Provider, in map[string]string) (providers.Table, error)

// The method "do" converts d to a function for the field Action.Do. That function returns an error if it gets a
// provider of another package.
func (d doing) do(name string) func(context.Context, providers.Provider, map[string]string) (providers.Table, error) {
	return func(ctx context.Context, p providers.Provider, in map[string]string) (providers.Table, error) {
		own, ok := p.(*Provider)
		if !ok {
			return providers.Table{}, refusal(Name+" "+name, "the account is not at TextConnect")
		}
		table, err := d(ctx, own, in)
		if mistake, ok := errors.AsType[*providers.FieldError](err); ok {
			return providers.Table{}, refusal(Name+" "+name, mistake.Error())
		}
		return table, err
	}
}

var createUser doing = func(ctx context.Context, p *Provider, in map[string]string) (providers.Table, error) {
	credits, err := decimal(in, "Credits")
	reminder, reminderErr := decimal(in, "CreditReminder")
	alert, alertErr := whole(in, "Alert")
	if err = errors.Join(err, reminderErr, alertErr); err != nil {
		return providers.Table{}, err
	}
	return providers.Table{}, p.CreateUser(ctx, User{
		Username: in["ChildUsername"], Password: providers.Secret(in["ChildPassword"]), AccessLevel: in["AccessLevel"],
		FirstName: in["FirstName"], LastName: in["LastName"], Email: in["Email"], Telephone: in["Telephone"],
		Credits: credits, CreditReminder: reminder, Alert: alert,
	})
}

var updateCredits doing = func(ctx context.Context, p *Provider, in map[string]string) (providers.Table, error) {
	quantity, err := decimal(in, "Quantity")
	if err != nil {
		return providers.Table{}, err
	}
	return providers.Table{}, p.UpdateCredits(ctx, in["ChildUsername"], quantity)
}

var importContacts doing = func(ctx context.Context, p *Provider, in map[string]string) (providers.Table, error) {
	ignore, err := flag(in, "IgnoreDupes")
	overwrite, overwriteErr := flag(in, "OverwriteDupes")
	if err = errors.Join(err, overwriteErr); err != nil {
		return providers.Table{}, err
	}
	lines, err := p.ImportContactsCSV(ctx, in["ContactsCSV"], ImportOptions{IgnoreDupes: ignore, OverwriteDupes: overwrite})
	if err != nil {
		return providers.Table{}, err
	}
	table := providers.Table{Columns: []string{"line", "result", "detail"}}
	for _, l := range lines {
		table.Rows = append(table.Rows, []string{strconv.Itoa(l.Line), l.Result, l.Detail})
	}
	return table, nil
}

// sendOptions parses the optional parameters of a send.
func (p *Provider) sendOptions(in map[string]string) (SendOptions, error) {
	ton, err := whole(in, "SourceTON")
	seconds, secondsErr := whole(in, "ValidityPeriod")
	all, allErr := flag(in, "GetAllMessageIDs")
	o := SendOptions{SourceTON: ton, ValidityPeriod: MaxValidity + 1, AllMessageIDs: all}
	if seconds <= int(MaxValidity/time.Second) { // otherwise the product could overflow
		o.ValidityPeriod = time.Duration(seconds) * time.Second
	}
	var dateErr error
	if date := in["ScheduleDate"]; date != "" {
		if o.ScheduleDate, dateErr = time.ParseInLocation(timestamp, date, p.zone); dateErr != nil {
			dateErr = providers.Mistake("ScheduleDate", "must be YYYYMMDDHHMMSS in London time")
		}
	}
	return o, errors.Join(err, secondsErr, allErr, dateErr)
}

// sendNumbers sends to numbers in international form, separated by commas. The returned table has a row for
// each number.
var sendNumbers doing = func(ctx context.Context, p *Provider, in map[string]string) (providers.Table, error) {
	o, err := p.sendOptions(in)
	b := providers.Batch{From: in["SourceAddress"], Body: in["Body"]}
	for written := range strings.SplitSeq(in["DestinationAddress"], ",") {
		number, numberErr := sms.ParseMSISDN(written, "")
		switch {
		case numberErr != nil:
			err = errors.Join(err, providers.Mistake("DestinationAddress", numberErr.Error()))
		case !slices.Contains(b.To, number):
			b.To = append(b.To, number)
		}
	}
	what := lengthRefusal(b.From, b.Body)
	if what == "" {
		what = p.refusal(b, o)
	}
	if err == nil && what != "" {
		err = refusal(Name+" Send", what)
	}
	if err != nil {
		return providers.Table{}, err
	}
	results, err := p.SendWith(ctx, b, o)
	if err != nil {
		return providers.Table{}, err
	}
	table := providers.Table{Columns: []string{"DestinationAddress", "outcome", "MessageID", "further IDs", "code"}}
	for i, r := range results {
		table.Rows = append(table.Rows, []string{b.To[i].String(), r.Outcome.String(), r.MessageID, r.SegmentIDs, r.Code})
	}
	return table, nil
}

// failedLines returns an error if the gateway has imported none of the lines.
func failedLines(t providers.Table) error {
	failed := 0
	for _, row := range t.Rows {
		if row[1] == ImportFailed {
			failed++
		}
	}
	if failed == 0 || failed < len(t.Rows) {
		return nil
	}
	return refusal(Name+" ImportContactsCSV", fmt.Sprintf("the gateway has imported none of %d lines", failed))
}

func sendStored(ctx context.Context, p *Provider, b providers.StoredBatch, in map[string]string) (providers.Table, error) {
	o, err := p.sendOptions(in)
	if err != nil {
		return providers.Table{}, err
	}
	b.From, b.Body = in["SourceAddress"], in["Body"]
	ids, err := p.SendStoredWith(ctx, b, o)
	if err != nil {
		return providers.Table{}, err
	}
	table := providers.Table{Columns: []string{"BGSendID"}}
	for _, id := range ids {
		table.Rows = append(table.Rows, []string{id})
	}
	return table, nil
}

var backgroundMessages doing = func(ctx context.Context, p *Provider, in map[string]string) (providers.Table, error) {
	messages, err := p.BackgroundMessages(ctx, in["BGSendID"])
	if errors.Is(err, providers.ErrNotFinished) {
		err = &providers.Error{Op: opBackground, Outcome: providers.Retryable, Scope: providers.Call, Code: strconv.Itoa(notDone), Err: err}
	}
	if err != nil {
		return providers.Table{}, err
	}
	table := providers.Table{Columns: []string{"MessageID", "Destination", "Status"}}
	for _, m := range messages {
		table.Rows = append(table.Rows, []string{m.MessageID, m.To.String(), m.Status.State})
	}
	return table, nil
}

// The function "decimal" parses a parameter that is a decimal number. For a missing parameter it returns 0.
func decimal(in map[string]string, name string) (float64, error) {
	if in[name] == "" {
		return 0, nil
	}
	n, ok := httpclient.ParseAmount(in[name])
	if !ok {
		return 0, providers.Mistake(name, "must be a number")
	}
	return n, nil
}

// The function "whole" parses a parameter that is a whole number of at least 1. For a missing parameter it
// returns 0.
func whole(in map[string]string, name string) (int, error) {
	if in[name] == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(in[name])
	if err != nil || n < 1 {
		return 0, providers.Mistake(name, "must be a whole number of at least 1")
	}
	return n, nil
}

// The function "flag" parses a parameter that is 1 (true) or 0 (false). For a missing parameter it returns
// false.
func flag(in map[string]string, name string) (bool, error) {
	switch in[name] {
	case "", "0":
		return false, nil
	case "1":
		return true, nil
	}
	return false, providers.Mistake(name, "must be 1 or 0")
}
