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

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

const (
	// trialPatience is how long the outcome of a test is waited for; then it is cancelled.
	testTimeout = 2 * time.Minute
	// mostTrials is how often a test that did not go out can be made anew under an ID that
	// is derived from it; nobody gets there.
	maxTestIDs = 1000
)

// trial is what `tuma send --test` does before anything of the campaign is enqueued.
type testMessage struct {
	*sendCommand
	b        *backend
	campaign producer.Campaign
}

// care reads those of these flags that are text. It refuses what would mean that nothing is
// tried first, or nothing stops it, such as a variable of the shell that was not set.
func (s *sendCommand) validateSafetyFlags(c *cobra.Command) error {
	f := c.Flags()
	if f.Changed("test") && strings.TrimSpace(s.testNumber) == "" {
		return misuse("--test: it is empty; give the number to send to first")
	}
	if !f.Changed("max-rejected") {
		return nil
	}
	percent, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s.maxRejected), "%")), 64)
	if err != nil || !(percent > 0 && percent <= 100) { // also what is no number
		return misuse("--max-rejected: %.40q must be in percent, above 0 and at most 100", s.maxRejected)
	}
	s.campaign.MaxRejected = percent
	return nil
}

// mayAsk says, before anything is sent, whether there is somebody to ask, or --yes. A list
// from standard input leaves nobody who could answer.
func (s *sendCommand) checkCanAsk() error {
	switch {
	case s.yes:
		return nil
	case s.file == "" || s.file == "-":
		return misuse("--test: the recipients come from standard input, so that nobody can be asked there; give --file, or --yes to go on if the test is accepted")
	case !isTerminal(s.in) || !isTerminal(s.err):
		return misuse("--test: there is nobody to ask; say --yes to go on if the test is accepted")
	}
	return nil
}

// tryFirst sends the message to the test number and asks; an error means that nothing else
// is sent. A campaign that is there already needs no test: it is sent, or in conflict.
func (s *sendCommand) sendTestFirst(ctx context.Context, b *backend, src *source, countries []string) error {
	if s.testNumber == "" {
		return nil
	}
	if why := numberProblem(s.testNumber, countries); why != nil {
		return misuse("--test: %v%s", why, s.countryHint(countries))
	}
	if err := s.checkCanAsk(); err != nil {
		return err
	}
	switch st, err := b.Status(ctx, s.campaign.ID); {
	case errors.Is(err, producer.ErrNotFound), err == nil && st.State == producer.Uploading: // perhaps an upload that was cut off
	case err != nil, st.State != producer.Uploading:
		return err
	}
	if err := b.Check(ctx, s.campaign); err != nil {
		return err
	}
	planned, first, err := s.preview(ctx, b, src)
	if err != nil {
		return err
	}
	s.noteHiddenRows(src)
	first.Number = s.testNumber
	t := &testMessage{sendCommand: s, b: b, campaign: testCampaign(s.campaign)}
	r, err := t.run(ctx, first)
	if err != nil {
		return fmt.Errorf("%w; nothing of the campaign was enqueued", err)
	}
	good := r.Status == "accepted" || r.Status == "delivered"
	if s.yes {
		if !good {
			return fmt.Errorf("the test ended %s, and --yes goes on only if it is accepted; nothing of the campaign was enqueued", r.Status)
		}
		return nil
	}
	sure, err := s.ask(ctx, "send to "+recipientCount(planned)+"?")
	if err != nil || !sure {
		return errors.Join(errors.New("nothing of the campaign was enqueued"), err)
	}
	return nil
}

// measure plans the campaign as a dry run does, and returns what comes of it, and the first
// recipient whose values make a whole message. A value that is missing where none may be is
// found here, before the test goes.
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
					first.Fields = maps.Clone(r.Fields) // the reader takes the map for the next one
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
	f, err = b.Preview(ctx, s.campaign, look, producer.PreviewOptions{Country: b.cfg.country, Now: s.now(), FailoverAfter: b.cfg.failoverAfter})
	if err != nil {
		return f, first, src.locateMissingField(err)
	}
	if f.Sent == 0 {
		return f, first, misuse("%s: none of its %s can be sent to (%s)", src.name, plural(f.Total, "recipient"), skippedByReason(f))
	}
	return f, first, nil
}

// whom says in a question how many would be sent to, and who would be left out.
func recipientCount(f producer.Forecast) string {
	if f.Skipped == 0 {
		return plural(f.Total, "recipient")
	}
	return fmt.Sprintf("%s of %s (left out: %s)", formatInt(f.Sent), plural(f.Total, "recipient"), skippedByReason(f))
}

// leftOut counts who is left out by reason.
func skippedByReason(f producer.Forecast) string {
	var words []string
	for _, reason := range slices.Sorted(maps.Keys(f.Reasons)) {
		words = append(words, formatInt(f.Reasons[reason])+" "+reason)
	}
	return strings.Join(words, ", ")
}

// missingField says where a value is missing, and what can be done about it.
func missingFieldError(src *source, field string) error {
	return misuse("%s: the field %s is blank: fill it in, give it a default as in {{%s|there}}, or take --on-missing skip or default",
		src.list.Where(), field, field)
}

// trialOf is a campaign of one message that differs from another in nothing that shows on
// the phone. It goes to one's own phone, at any hour and before what is bulk: so it is
// transactional, begins now, is not sent any more when nobody waits for it, and not twice
// when nobody knows what came of it.
func testCampaign(c producer.Campaign) producer.Campaign {
	c.Class, c.StartAt, c.ExpiresAt, c.ExpiresIn = producer.Transactional, time.Time{}, time.Time{}, testTimeout
	c.OnUnknown = producer.OnUnknownKeep
	c.MaxMessages, c.MaxSegments, c.Canary, c.MaxRejected, c.RequireCredit = 0, 0, 0, 0, false
	return c
}

// run makes the test, or finds that the same was made before, and returns what came of it.
// An error is a test that was not sent.
func (t *testMessage) run(ctx context.Context, to producer.Recipient) (producer.Result, error) {
	again, err := t.chooseID(ctx, to)
	if err != nil {
		return producer.Result{}, err
	}
	if again {
		t.note("tuma: the same was sent to %s before, as %s; %s", to.Number, t.campaign.ID, t.resendHint())
	} else {
		t.note("tuma: sending to %s first, as %s", to.Number, t.campaign.ID)
	}
	one := func(yield func(producer.Recipient, error) bool) { yield(to, nil) }
	// Also what is there already: whoever enqueued it may have died before a worker was told.
	if _, err := t.b.Enqueue(ctx, t.campaign, one); err != nil {
		return producer.Result{}, err
	}
	return t.waitForOutcome(ctx)
}

func (t *testMessage) resendHint() string {
	if t.idDerived {
		return "--again sends it again"
	}
	return "another --id sends it again"
}

// name finds the test its ID, which is that of the campaign and of all that it consists of:
// the same test again is not sent again, unless the one before did certainly not go out.
func (t *testMessage) chooseID(ctx context.Context, to producer.Recipient) (again bool, err error) {
	content, err := producer.ContentID(t.campaign, func(yield func(producer.Recipient, error) bool) { yield(to, nil) })
	if err != nil {
		return false, err
	}
	stem := t.campaign.ID
	if len(stem) > 100 {
		stem = stem[:100] // what follows tells it from others
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
	return false, fmt.Errorf("%s and all tests after it did not go out", stem)
}

// await waits until the test has an outcome and says it. One that has none in time, or is
// paused by its gateway, or is not waited for any more, is cancelled.
func (t *testMessage) waitForOutcome(ctx context.Context) (producer.Result, error) {
	deadline := t.now().Add(testTimeout)
	st, err := t.follow(ctx, t.b, t.campaign.ID, func(st producer.Status) bool {
		return st.Ended() || st.State == producer.Paused || t.now().After(deadline)
	})
	if err != nil || !st.Ended() {
		why := blockReasons(st, t.now())
		if st, err = t.cancelTest(ctx, err); err != nil {
			return producer.Result{}, err
		}
		if !st.Ended() {
			return producer.Result{}, fmt.Errorf("what came of the test is not known yet: tuma status %s", t.campaign.ID)
		}
		if st.Skipped > 0 && why != "" {
			return producer.Result{}, fmt.Errorf("the test was not sent, and is cancelled: %s", why)
		}
	}
	return t.readOutcome(ctx)
}

// giveUp cancels a test, and waits a moment for a call in flight.
func (t *testMessage) cancelTest(ctx context.Context, cause error) (producer.Status, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	_, err := t.b.Cancel(ctx, t.campaign.ID)
	if errors.Is(err, producer.ErrDone) {
		err = nil
	}
	if cause != nil {
		return producer.Status{}, errors.Join(errors.New("the test is cancelled"), err)
	}
	if err != nil {
		return producer.Status{}, err
	}
	var last producer.Status
	for st, err := range t.b.Watch(ctx, t.campaign.ID) {
		if err != nil {
			break // the time is over
		}
		if last = st; st.Ended() {
			break
		}
	}
	return last, nil
}

// outcome says what came of the test.
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
		t.note("tuma: what came of the test to %s is %s; look at the phone", r.Input, text)
	default:
		t.note("tuma: the test to %s was %s; look at the phone", r.Input, text)
	}
	return r, nil
}
