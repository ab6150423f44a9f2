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
)

var (
	_ providers.Reporter    = (*Provider)(nil)
	_ providers.InboxReader = (*Provider)(nil)
)

// ReportHistory is the one kind of report there is: the messages that were sent.
const ReportHistory = "history"

// historyColumns are what the page shows of a message that was sent. There is no
// number among them.
var historyColumns = []string{"message_id", "message_text", "message_date", "message_status", "message_error"}

// The fields of a message that was received.
const (
	fieldText = "message_text"
	fieldAt   = "message_datetime"
	fieldFrom = "message_from"
)

// ReportKinds returns "history".
func (p *Provider) ReportKinds() []string { return []string{ReportHistory} }

// Report fetches the messages that were sent through the account, in the gateway's
// order and with its own words. It takes no bounds. A history without messages is a
// table without rows. The dates are as the gateway writes them, taken to be East
// Africa Time; nothing says whose number a message went to.
func (p *Provider) Report(ctx context.Context, kind string, _, _ time.Time) (providers.Table, error) {
	if kind != ReportHistory {
		return providers.Table{}, &providers.Error{
			Op: opHistory, Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused,
			Err: errors.New("there is one report, history"),
		}
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

// Inbox fetches the messages that people have sent in, all that the gateway has:
// they have no ids, and so after means nothing.
func (p *Provider) Inbox(ctx context.Context, _ string) ([]providers.Inbound, error) {
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

// eastAfrica is the zone that the gateway's times are taken to be in; the page does
// not say. Kenya has no summer time.
var eastAfrica = time.FixedZone("EAT", 3*60*60)

// parseInbox reads the messages of an inbox. A time that is none stays in Fields as
// it is written. If there are no messages to be read, the verdict is that of the
// reply's code. It has no effects.
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
			m.Fields = map[string]string{fieldAt: row[2]}
		}
		inbox = append(inbox, m)
	}
	return inbox, ok, verdict
}

// parseList reads {"0":{…},"1":{…},"code":"202"}: the rows under numbers, in the
// order of these, each with its texts under the names of columns. What has no number
// is no row. If it is no such list, the verdict is that of the reply's code. It has
// no effects.
func parseList(body []byte, code string, columns []string) (rows [][]string, ok bool, verdict *providers.Error) {
	got, o := parseReply(body)
	if got != code {
		return nil, false, refusal(got)
	}
	type numbered struct {
		at   uint64
		name string
		row  []string
	}
	var list []numbered
	for name, raw := range o {
		at, err := strconv.ParseUint(name, 10, 64)
		if err != nil {
			continue
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

// parseRow returns what a row has under the names of columns; nil if it is none.
func parseRow(raw json.RawMessage, columns []string) []string {
	fields, ok := providers.ReadObject(raw)
	if !ok {
		return nil
	}
	row := make([]string, len(columns))
	for i, column := range columns {
		row[i], _ = fields.Text(column)
	}
	return row
}
