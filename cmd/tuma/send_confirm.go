package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
)

// keyboardOf opens the input from which the command s reads the user's answers. The command asks
// only if standard error is a terminal and --json is not set. Otherwise keyboardOf returns nil. If
// the recipients come from standard input, keyboardOf opens the terminal of the process instead.
// The caller must close the keyboard.
func keyboardOf(s *sendCommand) (io.ReadCloser, error) {
	switch {
	case s.yes || s.json || !console.IsTerminal(s.err):
		return nil, nil //nolint:nilnil // nil means that there is no question
	case console.IsTerminal(s.in):
		return io.NopCloser(s.in), nil
	case s.file != "" && s.file != "-":
		return nil, nil //nolint:nilnil // as above
	}
	name := "/dev/tty"
	if runtime.GOOS == "windows" {
		name = "CONIN$"
	}
	tty, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, misuse("cannot ask for confirmation: the recipients come from standard input, and %s cannot be opened: use --file, or add --yes to send without confirmation", name)
	}
	return tty, nil
}

// checkCanAsk returns an error if --test must ask the user, but keyboard is nil.
func checkCanAsk(s *sendCommand, keyboard io.Reader) error {
	switch {
	case s.testNumber == "" || s.yes || keyboard != nil:
		return nil
	case s.json:
		return misuse("--test cannot ask for confirmation with --json: add --yes, which sends the campaign after the gateway has accepted the test message")
	case s.file == "" || s.file == "-":
		return misuse("--test cannot ask for confirmation because the recipients come from standard input: use --file, or add --yes, which sends the campaign after the gateway has accepted the test message")
	}
	return misuse("--test cannot ask for confirmation without a terminal: add --yes, which sends the campaign after the gateway has accepted the test message")
}

// confirm sends the test message of --test, shows the user a summary of the campaign, and asks
// whether to enqueue the campaign. If confirm returns an error, the caller must not enqueue the
// campaign. If the campaign exists, confirm does nothing. Without --test, it also does nothing if the
// command must not ask.
func (s *sendCommand) confirm(ctx context.Context, b *backend, src *source, countries []string) error {
	if s.testNumber != "" {
		if why := numberProblem(s.testNumber, countries); why != nil {
			return misuse("--test: %s%s", explainNumber(s.testNumber, why), s.countryHint(countries))
		}
	}
	keyboard, err := keyboardOf(s)
	if err != nil {
		return err
	}
	if keyboard != nil {
		defer func() { _ = keyboard.Close() }()
	}
	if err := checkCanAsk(s, keyboard); err != nil || s.testNumber == "" && keyboard == nil {
		return err
	}
	switch st, err := b.Status(ctx, s.campaign.ID); {
	case errors.Is(err, producer.ErrNotFound), err == nil && st.State == producer.Uploading: // the campaign is new, or its upload was interrupted
	case err != nil:
		return err
	default:
		if free, err := b.IDFree(ctx, s.campaign.ID); err != nil || !free {
			return err
		}
	}
	if err := b.Check(ctx, s.campaign); err != nil {
		return err
	}
	planned, first, err := s.preview(ctx, b, src)
	if err != nil {
		return err
	}
	s.noteList(src)
	s.noted = true
	if s.testNumber != "" {
		if err := s.sendTest(ctx, b, first); err != nil {
			return err
		}
	}
	if keyboard == nil {
		return nil
	}
	accounts, err := b.Accounts(ctx)
	if err != nil {
		return err
	}
	q := question{send: s, planned: planned, accounts: accounts}
	if err := q.summary().Print(s.err); err != nil {
		return err
	}
	sure, err := ask(ctx, keyboard, s.err, q.text(src.list))
	if err != nil || !sure {
		return errors.Join(errors.New("the campaign was not enqueued"), err)
	}
	return nil
}

// question is the question before a campaign is enqueued.
type question struct {
	send     *sendCommand
	planned  producer.Forecast
	accounts []producer.Account
}

// The method "text" returns the text of the question. It also names possible mistakes in the list and in the
// text of the campaign.
func (q question) text(l *recipients.List) string {
	text := "send to " + recipientCount(q.planned)
	if doubts := listDoubts(l, q.send.campaign.Body); len(doubts) > 0 {
		text += ", although " + strings.Join(doubts, " and ")
	}
	return text + "?"
}

// summary returns the table that is shown above the question.
func (q question) summary() *console.Table {
	f, g := q.planned, &console.Table{}
	g.Add("recipients", recipientCount(f))
	g.Add("segments", console.FormatInt(f.Segments)+" ("+segmentSummary(f)+")")
	g.Add("cost", cmp.Or(formatAmounts(f.Cost), "not known: no price is configured"))
	var names, senders []string
	for _, a := range f.Accounts {
		if a.Account == "" {
			continue
		}
		name := a.Account
		if len(f.Accounts) > 1 {
			name += " (" + console.FormatInt(a.Recipients) + ")"
		}
		names = append(names, name)
		for _, known := range q.accounts {
			if known.Name == a.Account && known.Sender != "" && !slices.Contains(senders, known.Sender) {
				senders = append(senders, known.Sender)
			}
		}
	}
	g.Add("account", cmp.Or(strings.Join(names, ", "), "not known"))
	g.Add("sender", cmp.Or(q.send.campaign.From, strings.Join(senders, ", "), "the gateway's"))
	g.Add("start", q.start())
	for _, line := range scheduleLines(f, q.send.now()) {
		g.Add("schedule", line)
	}
	if !q.send.times.expiry.IsZero() {
		g.Add("expiry", q.send.times.describe(q.send.times.expiry))
	}
	if lines := sampleLines(f); len(lines) > 0 {
		g.Add("message", console.OneLine(lines[0], 66))
	}
	return g
}

// start describes when the campaign starts, in the campaign's time zone. It adds the local times
// of this machine and of the recipients' countries, where these differ.
func (q question) start() string {
	at, text := q.send.times.start, ""
	if at.IsZero() {
		at = q.send.times.now
		text = "now, " + at.In(q.send.times.zone).Format("15:04 (MST)")
	} else {
		text = q.send.times.describe(at)
	}
	seen := []string{clockIn(at, q.send.times.zone)}
	add := func(zone *time.Location, where string) {
		if shown := clockIn(at, zone); !slices.Contains(seen, shown) {
			seen = append(seen, shown)
			text += fmt.Sprintf("; %s %s", at.In(zone).Format("15:04 (MST)"), where)
		}
	}
	add(localZone(q.send.app), "here")
	byCount := slices.SortedFunc(maps.Keys(q.planned.Countries), func(a, b string) int {
		return cmp.Or(cmp.Compare(q.planned.Countries[b], q.planned.Countries[a]), cmp.Compare(a, b))
	})
	for _, country := range byCount[:min(len(byCount), 3)] {
		if zone := hours.Zone(country); zone != nil {
			add(zone, "in "+country)
		}
	}
	return text
}

// clockIn returns the time that the clocks of a zone show at the moment t.
func clockIn(t time.Time, zone *time.Location) string { return t.In(zone).Format("2 15:04") }
