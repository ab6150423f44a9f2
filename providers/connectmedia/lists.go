package connectmedia

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

var (
	_ providers.Reporter    = (*Provider)(nil)
	_ providers.InboxReader = (*Provider)(nil)
)

// ReportHistory is the only kind of report. It lists the messages that were sent.
const ReportHistory = "history"

// historyColumns are the fields of a sent message on the vendor's page. The recipient's number is not one of
// these fields.
var historyColumns = []string{"message_id", "message_text", "message_date", "message_status", "message_error"}

// These are the fields of an incoming message.
const (
	fieldText = "message_text"
	fieldAt   = "message_datetime"
	fieldFrom = "message_from"
)

// ReportKinds returns "history".
func (p *Provider) ReportKinds() []string { return []string{ReportHistory} }

// Report downloads the messages that were sent through the account, with the gateway's values and in
// the gateway's order. A history without messages is a table without rows. The dates are unchanged.
// This package assumes that they are in East Africa Time. For an account with a user name, Report
// ignores the parameters "start" and "end", and no column holds the recipient's number. For an
// account with an API key, Report rounds "start" and "end" down to whole days, and sends a request
// for each page of the history.
func (p *Provider) Report(ctx context.Context, kind string, start, end time.Time) (providers.Table, error) {
	if kind != ReportHistory {
		return providers.Table{}, &providers.Error{
			Op: opHistory, Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused,
			Err: errors.New("unknown report; must be history"),
		}
	}
	if p.key != nil {
		return p.currentHistory(ctx, start, end)
	}
	reply, err := p.client.PostForm(ctx, opHistory, path, askForm(*p.login, actionHistory))
	if err != nil {
		return providers.Table{}, err
	}
	rows, ok, verdict := parseList(reply.Body, codeHistory, historyColumns)
	if !ok {
		return providers.Table{}, reply.Refused(opHistory, verdict)
	}
	return providers.Table{Columns: slices.Clone(historyColumns), Rows: rows}, nil
}

// Inbox returns all incoming messages that the gateway stores. For an account with an API key it returns
// at most inboxLimit messages. The messages have no IDs, so Inbox ignores its second argument, the ID of
// the last known message.
func (p *Provider) Inbox(ctx context.Context, _ string) ([]providers.Inbound, error) {
	if p.key != nil {
		return p.currentInbox(ctx)
	}
	reply, err := p.client.PostForm(ctx, opInbox, inboxPath, askForm(*p.login, actionInbox))
	if err != nil {
		return nil, err
	}
	inbox, ok, verdict := parseInbox(reply.Body)
	if !ok {
		return nil, reply.Refused(opInbox, verdict)
	}
	return inbox, nil
}

// eastAfrica is the assumed time zone of the gateway's times, which the vendor's page does not name. Kenya has no
// summer time.
var eastAfrica = time.FixedZone("EAT", 3*60*60)

// parseInbox parses the messages of an inbox. An invalid time is kept unchanged in Fields. If the reply's
// code is not codeInbox, the result "verdict" is the error for that code.
func parseInbox(body []byte) (inbox []providers.Inbound, ok bool, verdict *providers.Error) {
	rows, ok, verdict := parseList(body, codeInbox, []string{fieldFrom, fieldText, fieldAt})
	if verdict != nil && verdict.Code == codeNoInbox {
		*verdict = providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseGateway, Code: codeNoInbox}
	}
	for _, row := range rows {
		m := providers.Inbound{From: row[0], Text: row[1]}
		at, err := time.ParseInLocation(time.DateTime, row[2], eastAfrica)
		switch {
		case err == nil:
			m.At = at
		case row[2] != "":
			m.UnreadTime, m.Fields = row[2], map[string]string{fieldAt: row[2]}
		}
		inbox = append(inbox, m)
	}
	return inbox, ok, verdict
}

// parseList parses {"0":{…},"1":{…},"code":"202"}. Every member whose name is a number is a row.
// parseList returns the rows in the order of these numbers. A row holds the texts whose names are
// in the parameter "columns". The result "ok" is false if a row is invalid, or if the reply has a
// member besides the rows, "code" and "message". If the reply's code is not the given code, "ok" is false,
// and "verdict" is the error for the reply's code.
func parseList(body []byte, code string, columns []string) (rows [][]string, ok bool, verdict *providers.Error) {
	got, o := parseReply(body)
	if got != code {
		return nil, false, refusal(got)
	}
	if _, isText := o.Text("message"); !isText {
		return nil, false, nil // the member "message" is not a text, so this reply is not a documented list
	}
	type numbered struct {
		at   uint64
		name string
		row  []string
	}
	var list []numbered
	for name, raw := range o {
		if name == "code" || name == "message" {
			continue
		}
		at, notANumber := strconv.ParseUint(name, 10, 64)
		if notANumber != nil {
			return nil, false, nil //nolint:nilerr // no error of the program: this is not a documented list
		}
		row := parseRow(raw, columns)
		if row == nil {
			return nil, false, nil
		}
		list = append(list, numbered{at, name, row})
	}
	slices.SortFunc(list, func(a, b numbered) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.name, b.name)) })
	for _, n := range list {
		rows = append(rows, n.row)
	}
	return rows, true, nil
}

// parseRow parses one row. It returns the text of each column in the parameter "columns". It returns nil if
// the row is not an object.
func parseRow(raw json.RawMessage, columns []string) []string {
	fields, ok := httpclient.ReadObject(raw)
	if !ok {
		return nil
	}
	row := make([]string, len(columns))
	for i, column := range columns {
		row[i], _ = fields.Text(column)
	}
	return row
}
