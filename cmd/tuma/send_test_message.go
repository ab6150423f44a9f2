package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

const (
	// testTimeout is how long tuma waits for the outcome of a test message before it cancels the
	// test.
	testTimeout = 2 * time.Minute
	// maxTestIDs limits the IDs for one test message: a message has at most maxTestIDs-1 different
	// IDs. A test that was not sent is repeated under the next ID.
	maxTestIDs = 1000
)

// testMessage is the test of `tuma send --test`: a campaign of one message, sent before the real
// campaign is enqueued.
type testMessage struct {
	*app
	b        *backend
	campaign producer.Campaign
	// idDerived is true if the ID of the real campaign is derived from its content.
	idDerived bool
}

// validateSafetyFlags checks --test and parses --max-rejected. It refuses empty values: an unset shell
// variable must not switch off the test or the limit.
func (s *sendCommand) validateSafetyFlags(f *pflag.FlagSet) error {
	if f.Changed("test") && strings.TrimSpace(s.testNumber) == "" {
		return misuse("--test must not be empty: set it to the number to send to first")
	}
	if !f.Changed("max-rejected") {
		return nil
	}
	percent, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s.maxRejected), "%")), 64)
	if err != nil || !(percent > 0 && percent <= 100) { // written so that NaN is refused too
		return misuse("--max-rejected: %.40q must be a percentage above 0 and at most 100, e.g. 5", s.maxRejected)
	}
	s.campaign.MaxRejected = percent
	return nil
}

// sendTest sends the message to the test number. The recipient called first gives the values of the
// merge fields. sendTest returns an error if the campaign must not be enqueued.
func (s *sendCommand) sendTest(ctx context.Context, b *backend, first producer.Recipient) error {
	first.Number = s.testNumber
	t := &testMessage{app: s.app, b: b, campaign: testCampaign(s.campaign), idDerived: s.idDerived}
	r, err := t.run(ctx, first)
	if err != nil {
		return fmt.Errorf("%w; the campaign was not enqueued", err)
	}
	if s.yes && r.Status != "accepted" && r.Status != "delivered" {
		return fmt.Errorf("the test ended as %s, but --yes continues only after an accepted test; the campaign was not enqueued", r.Status)
	}
	return nil
}

// preview plans the campaign like a dry run. It returns the forecast, and the first recipient that
// has a value for every merge field. The test message uses the values of this recipient. If a
// value is missing and --on-missing does not allow that, preview returns an error, so that no test
// message is sent.
func (s *sendCommand) preview(ctx context.Context, b *backend, src *source) (f producer.Forecast, first producer.Recipient, err error) {
	body, err := sms.ParseTemplate(s.campaign.Body)
	if err != nil {
		return f, first, err
	}
	var text []byte
	found := false
	look := func(yield func(producer.Recipient, error) bool) {
		for r, err := range src.all() {
			if err == nil && !found {
				missing := ""
				if len(r.Fields) > 0 {
					text, missing = body.Render(text[:0], func(field string) string { return r.Fields[field] })
				}
				if missing == "" || s.campaign.OnMissing == producer.OnMissingDefault {
					first, found = r, true
					first.Fields = maps.Clone(r.Fields) // the reader reuses the map for the next recipient
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
	f, err = b.Preview(ctx, s.campaign, look, producer.PreviewOptions{Country: b.cfg.Country, Now: s.now(), FailoverAfter: b.cfg.FailoverAfter})
	if err != nil {
		return f, first, src.locateMissingField(err)
	}
	if f.Sent == 0 {
		return f, first, misuse("%s: none of %s can get the message (%s)", src.name, console.Plural(f.Total, "recipient"), skippedByReason(f))
	}
	return f, first, nil
}

// recipientCount returns two counts as text for the confirmation prompt: the recipients that would get
// the message, and the recipients that would be skipped.
func recipientCount(f producer.Forecast) string {
	if f.Skipped == 0 {
		return console.Plural(f.Total, "recipient")
	}
	return fmt.Sprintf("%s of %s (skipped: %s)", console.FormatInt(f.Sent), console.Plural(f.Total, "recipient"), skippedByReason(f))
}

// skippedByReason returns the number of skipped recipients for each reason.
func skippedByReason(f producer.Forecast) string {
	var words []string
	for _, reason := range slices.Sorted(maps.Keys(f.Reasons)) {
		words = append(words, console.FormatInt(f.Reasons[reason])+" "+reason)
	}
	return strings.Join(words, ", ")
}

// missingFieldError returns an error for all blank merge fields, with their lines and what to do.
func missingFieldError(src *source, e *producer.MissingError) error {
	const remedy = "add a default as in {{%s|there}}, or use --on-missing skip or default"
	if len(e.Fields) == 1 && e.Fields[0].Count == 1 {
		return misuse("%s: field %s is blank: fill it in, "+remedy, src.list.WhereLine(e.Fields[0].First[0]), e.Field, e.Field)
	}
	return misuse("%s: blank fields: %s: fill them in, "+remedy, src.list.WhereFile(), e.Summary("rows"), e.Field)
}

// testCampaign returns the campaign of the test message. On the phone, the test message looks like
// a message of c. It is transactional, so that it is sent at any hour and before bulk messages. It
// starts now, expires when the command stops waiting for it, and is not resent after an unknown
// outcome.
func testCampaign(c producer.Campaign) producer.Campaign {
	c.Class, c.StartAt, c.StartIn, c.ExpiresAt, c.ExpiresIn = producer.Transactional, time.Time{}, 0, time.Time{}, testTimeout
	c.OnUnknown = producer.OnUnknownKeep
	c.MaxMessages, c.MaxSegments, c.Canary, c.MaxRejected, c.RequireCredit = 0, 0, 0, 0, false
	return c
}

// run sends the test message and returns its result. If the same test was sent before, run returns the
// result of that test. It returns an error if the message was not sent.
func (t *testMessage) run(ctx context.Context, to producer.Recipient) (producer.Result, error) {
	again, err := t.chooseID(ctx, to)
	if err != nil {
		return producer.Result{}, err
	}
	if again {
		t.note("tuma: the same test was already sent to %s, with the ID %s; %s", to.Number, t.campaign.ID, t.resendHint())
	} else {
		t.note("tuma: sending a test to %s, with the ID %s", to.Number, t.campaign.ID)
	}
	one := func(yield func(producer.Recipient, error) bool) { yield(to, nil) }
	// Enqueue the test even if it exists. The command that enqueued it first may have died before it
	// woke a worker.
	if _, err := t.b.Enqueue(ctx, t.campaign, one); err != nil {
		return producer.Result{}, err
	}
	return t.waitForOutcome(ctx)
}

// resendHint returns advice on how to send the same test again.
func (t *testMessage) resendHint() string {
	if t.idDerived {
		return "--again sends it again"
	}
	return "use another --id to send the test again"
}

// chooseID sets the ID of the test, which is derived from the campaign's ID and the content of the
// test. If a test with this ID exists, chooseID returns true and the test is not sent again. If
// the existing test was rejected or skipped, chooseID tries the next ID instead.
func (t *testMessage) chooseID(ctx context.Context, to producer.Recipient) (again bool, err error) {
	content, err := producer.ContentID(t.campaign, func(yield func(producer.Recipient, error) bool) { yield(to, nil) })
	if err != nil {
		return false, err
	}
	stem := t.campaign.ID
	if len(stem) > 100 {
		stem = stem[:100] // the suffix keeps the ID unique
	}
	stem += ".test-" + content[2:12]
	for n := 1; n < maxTestIDs; n++ {
		t.campaign.ID = stem
		if n > 1 {
			t.campaign.ID += "-" + strconv.Itoa(n)
		}
		st, err := t.b.Status(ctx, t.campaign.ID)
		if errors.Is(err, producer.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !st.Ended() || st.Rejected+st.Skipped == 0 {
			return true, nil
		}
	}
	return false, fmt.Errorf("the test %s and its %d repetitions were sent or skipped before, so nothing was sent now: use another --id", stem, maxTestIDs-2)
}

// waitForOutcome waits for the outcome of the test and prints it. It cancels the test after
// testTimeout, when the test is paused, or when ctx is done.
func (t *testMessage) waitForOutcome(ctx context.Context) (producer.Result, error) {
	deadline := t.now().Add(testTimeout)
	st, err := t.follow(ctx, t.b.Client, t.campaign.ID, func(st producer.Status) bool {
		return st.Ended() || st.State == producer.Paused || t.now().After(deadline)
	})
	if err != nil || !st.Ended() {
		why := blockReasons(st, console.NewScreen(t.err, t.lookup), t.now())
		if st, err = t.cancelTest(ctx, err); err != nil {
			return producer.Result{}, err
		}
		if !st.Ended() {
			return producer.Result{}, fmt.Errorf("the outcome of the test is not known yet; see tuma status %s", t.campaign.ID)
		}
		if st.Skipped > 0 && why != "" {
			return producer.Result{}, fmt.Errorf("the test was not sent and is cancelled: %s", why)
		}
	}
	return t.readOutcome(ctx)
}

// cancelTest cancels the test and waits at most ten seconds for a call in flight.
func (t *testMessage) cancelTest(ctx context.Context, cause error) (producer.Status, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := t.b.Cancel(ctx, t.campaign.ID)
	if errors.Is(err, producer.ErrDone) {
		err = nil
	}
	if cause != nil {
		return producer.Status{}, errors.Join(errors.New("the test was cancelled"), err)
	}
	if err != nil {
		return producer.Status{}, err
	}
	var last producer.Status
	for st, err := range t.b.Watch(ctx, t.campaign.ID) {
		if err != nil {
			break // the time limit is over
		}
		if last = st; st.Ended() {
			break
		}
	}
	return last, nil
}

// readOutcome reads the result of the test and prints it. It returns an error if the message was not
// sent.
func (t *testMessage) readOutcome(ctx context.Context) (r producer.Result, err error) {
	for x, err := range t.b.Results(ctx, t.campaign.ID) {
		if err != nil {
			return r, err
		}
		r = x
	}
	text := r.Status
	for _, word := range []string{r.Reason, r.Code} {
		if word != "" {
			text += " (" + word + ")"
		}
	}
	if r.Account != "" {
		text += " by " + r.Account
	}
	switch r.Status {
	case "rejected", "skipped", "undelivered":
		return r, fmt.Errorf("the test to %s was %s", r.Input, text)
	case "unknown":
		t.note("tuma: the outcome of the test to %s is %s; check the phone", r.Input, text)
	default:
		t.note("tuma: the test to %s was %s; check the phone", r.Input, text)
	}
	return r, nil
}
