package connectmedia

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

const (
	// historyPage is the number of messages in one page of a history. One request of the current API
	// reads one page.
	historyPage = 500
	// maxHistoryPages is the maximum number of pages of a history. For a longer history,
	// currentHistory returns an error.
	maxHistoryPages = 1000
	// inboxLimit is the number of incoming messages that a request of the current API asks for.
	inboxLimit = 1000
)

// currentHistory reads the messages that were sent through the current API, page by page, until a page
// has no new message. The parameters "start" and "end" limit the history to the days from start to
// end, in East Africa Time. The first columns are the columns of the vendor's page. The gateway's
// other fields follow.
func (p *Provider) currentHistory(ctx context.Context, start, end time.Time) (providers.Table, error) {
	var rows []httpclient.Object
	var before []httpclient.Object
	for range maxHistoryPages {
		offset := len(rows)
		a := ask{Action: actionHistory, Limit: historyPage, Offset: &offset, StartDate: day(start), EndDate: day(end)}
		o, reply, err := p.currentObject(ctx, opHistory, codeHistory, a)
		if err != nil {
			return providers.Table{}, err
		}
		page, ok := currentRows(o)
		if !ok {
			return providers.Table{}, reply.NotUnderstood(opHistory)
		}
		if len(page) == 0 || sameRows(page, before) {
			return tableOf(rows), nil
		}
		rows, before = append(rows, page...), page
	}
	return providers.Table{}, &providers.Error{
		Op: opHistory, Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused,
		Err: fmt.Errorf("the history has more than %d pages; ask for fewer days", maxHistoryPages),
	}
}

// day returns the day of a time in East Africa Time as YYYY-MM-DD, and "" for a zero time.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(eastAfrica).Format(time.DateOnly)
}

// currentRows returns the rows of a history or an inbox. The vendor's clients return such a reply
// without reading it, so the form of the reply is not known. currentRows understands three forms:
//
//   - The member "data" is a list of objects. These objects are the rows.
//   - "data" is an object with one list of objects. These objects are the rows.
//   - "data" is an object whose members are the rows and have numbers as names. If the reply has no
//     "data", the reply itself may have such members, as in the vendor's other API.
//
// A reply without "data" and without such members has no rows. The result "ok" is false for any
// other form.
func currentRows(o httpclient.Object) (rows []httpclient.Object, ok bool) {
	if isEmpty(o["data"]) {
		return numberedRows(o, "code", "message", "data", "api_version")
	}
	if rows, ok = objectsOf(o["data"]); ok {
		return rows, true
	}
	data, isObject := o.Object("data")
	if !isObject {
		return nil, false
	}
	lists := 0
	for name, raw := range data {
		switch raw = bytes.TrimSpace(raw); {
		case raw[0] == '[':
			if lists++; lists > 1 {
				return nil, false
			}
			if rows, ok = objectsOf(raw); !ok {
				return nil, false
			}
		case raw[0] == '{' && !isNumber(name):
			return nil, false
		}
	}
	if lists == 1 {
		return rows, true
	}
	return numberedRows(data)
}

func isEmpty(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", "[]", "{}", `""`:
		return true
	}
	return false
}

func isNumber(name string) bool {
	_, err := strconv.ParseUint(name, 10, 64)
	return err == nil
}

// objectsOf parses a list of objects.
func objectsOf(raw json.RawMessage) (rows []httpclient.Object, ok bool) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	for _, element := range list {
		row, isObject := httpclient.ReadObject(element)
		if !isObject {
			return nil, false
		}
		rows = append(rows, row)
	}
	return rows, true
}

// numberedRows returns the objects whose names are numbers, in the order of the numbers. It ignores
// the members of o whose names are in the parameter "ignored". The result "ok" is false if o has any
// other member.
func numberedRows(o httpclient.Object, ignored ...string) (rows []httpclient.Object, ok bool) {
	names := slices.DeleteFunc(slices.Collect(maps.Keys(o)), func(name string) bool { return slices.Contains(ignored, name) })
	slices.SortFunc(names, func(a, b string) int {
		x, _ := strconv.ParseUint(a, 10, 64)
		y, _ := strconv.ParseUint(b, 10, 64)
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
	})
	for _, name := range names {
		row, isObject := o.Object(name)
		if !isNumber(name) || !isObject {
			return nil, false
		}
		rows = append(rows, row)
	}
	return rows, true
}

func sameRows(a, b []httpclient.Object) bool {
	return slices.EqualFunc(a, b, func(x, y httpclient.Object) bool {
		return maps.EqualFunc(x, y, func(v, w json.RawMessage) bool { return bytes.Equal(v, w) })
	})
}

// tableOf returns rows as a table, with each column that at least one row has. The columns of the
// vendor's page come first. The other columns follow, sorted by name.
func tableOf(rows []httpclient.Object) providers.Table {
	all := map[string]bool{}
	for _, row := range rows {
		for name := range row {
			all[name] = true
		}
	}
	var t providers.Table
	for _, name := range historyColumns {
		if all[name] {
			t.Columns = append(t.Columns, name)
			delete(all, name)
		}
	}
	t.Columns = append(t.Columns, slices.Sorted(maps.Keys(all))...)
	if len(rows) == 0 {
		t.Columns = slices.Clone(historyColumns)
	}
	for _, row := range rows {
		cells := make([]string, len(t.Columns))
		for i, name := range t.Columns {
			cells[i] = shown(row, name)
		}
		t.Rows = append(t.Rows, cells)
	}
	return t
}

// The function "shown" returns a value as text: texts and numbers unchanged, and other values as JSON.
func shown(row httpclient.Object, name string) string {
	if text, ok := row.Text(name); ok {
		return text
	}
	return string(row[name])
}

// The names that the fields of an incoming message may have in a reply of the current API. The first
// name of each list is on the vendor's page, which describes the vendor's other API. The further names
// are assumed.
var (
	inboxFrom = []string{fieldFrom, "from", "sender", "phone", "msisdn"}
	inboxTo   = []string{"message_to", "to", "shortcode", "recipient"}
	inboxText = []string{fieldText, "message", "text"}
	inboxAt   = []string{fieldAt, "message_date", "received_at", "created_at", "datetime", "date"}
)

// currentInbox reads the incoming messages through the current API.
func (p *Provider) currentInbox(ctx context.Context) ([]providers.Inbound, error) {
	o, reply, err := p.currentObject(ctx, opInbox, codeInbox, ask{Action: actionInbox, Limit: inboxLimit})
	if err != nil {
		if e, ok := err.(*providers.Error); ok && e.Code == codeNoInbox { //nolint:errorlint // currentObject promises the type itself
			e.Outcome, e.Scope, e.Cause = providers.Retryable, providers.Account, providers.CauseGateway
		}
		return nil, err
	}
	rows, ok := currentRows(o)
	if !ok {
		return nil, reply.NotUnderstood(opInbox)
	}
	var inbox []providers.Inbound
	for _, row := range rows {
		m, ok := inboundOf(row)
		if !ok {
			return nil, reply.NotUnderstood(opInbox)
		}
		inbox = append(inbox, m)
	}
	return inbox, nil
}

// inboundOf reads an incoming message. Inbound.Fields keeps the values for which Inbound has no field.
// The result "ok" is false for a row without a number or without a text.
func inboundOf(row httpclient.Object) (m providers.Inbound, ok bool) {
	take := func(names []string) (text string, found bool) {
		for _, name := range names {
			if _, has := row[name]; has {
				text = shown(row, name)
				delete(row, name)
				return text, true
			}
		}
		return "", false
	}
	var hasFrom, hasText bool
	m.From, hasFrom = take(inboxFrom)
	m.Text, hasText = take(inboxText)
	m.To, _ = take(inboxTo)
	written, _ := take(inboxAt)
	if at, err := time.ParseInLocation(time.DateTime, written, eastAfrica); err == nil {
		m.At = at
	} else {
		m.UnreadTime = written
	}
	for name := range row {
		if m.Fields == nil {
			m.Fields = map[string]string{}
		}
		m.Fields[name] = shown(row, name)
	}
	return m, hasFrom && hasText && m.From != ""
}
