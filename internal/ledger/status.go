package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Summary is the state and the counts of a campaign. After the commit, Total always equals the sum
// of the counts of the seven statuses.
type Summary struct {
	ID string
	// Upload is the token of the campaign's upload. Campaigns that used the same ID one after the
	// other have different tokens.
	Upload string
	State  campaign.State
	Spec   campaign.Spec
	// Country is the country of numbers in national format. It is the country of the spec, or else
	// the default of the worker that started planning. Before planning it is empty if the spec does
	// not name a country.
	Country string
	// SendingHours are the sending hours that planning uses. It is nil if the campaign may be sent at
	// any hour, or if the hours are not known yet.
	SendingHours []campaign.CountryHours
	// Accounts are the accounts for which the campaign is planned. It is empty before planning.
	// Resend is true if at least one of them resends recipients with an unknown outcome.
	Accounts []string
	Resend   bool
	// Planned reports whether all recipients of the campaign are planned.
	Planned bool
	// Streams are the streams with work left to do.
	Streams []StreamState
	// Routes are the routes that planning used. If it is empty, all recipients went to Accounts[0].
	// ByAccount has the counts of each account, in the order of Accounts. It is nil if the counts
	// are not known.
	Routes    []campaign.Route
	ByAccount []campaign.AccountCounts

	campaign.Counts
	// Reasons counts the skipped recipients by reason. OtherText counts the skipped duplicates whose
	// text differs from the text that is sent to the same number.
	Reasons   map[string]int
	OtherText int
	// Batches is the number of planned batches. Calls is the number of submitted calls. A call that
	// was tried several times is counted once. Segments is the number of segments of accepted
	// messages. Resent is the number of recipients that were submitted again, and for which the
	// gateway accepted two messages.
	Batches, Calls, Segments, Resent int
	InFlight                         InFlight

	CreatedAt, FinishedAt, StartAt, ExpiresAt time.Time
	// PausedBy is one word: the name of the operator that paused the campaign, or the reason of the
	// pause. PausedAt is the time of the pause.
	PausedBy string
	PausedAt time.Time
	// TooManyRejected is set if the campaign was paused for its failure threshold. Canary is how
	// many messages must end before others are sent. It is 0 if the canary is over or the
	// campaign has none.
	TooManyRejected *campaign.TooManyRejected
	Canary          int
	// StoppedBy is "cancelled", "expired" or empty.
	StoppedBy string
	// Quarantined counts unreadable records. QuarantinedWork counts the batches (and the plan) that
	// left the open set because of unreadable records. Unreadable is set if the spec or the
	// planning snapshot cannot be read. Then the campaign cannot continue.
	Quarantined, QuarantinedWork int
	Unreadable                   *Unreadable
	// RetryRecord is the record of an unfinished retry, for FinishRetry.
	RetryRecord string
	// Archived reports whether the campaign is a single message that has an archive.
	Archived bool
}

// StreamState is a stream with work in it. ClosedUntil is the time when its sending hours begin, as
// the last refused claim computed it. ClosedSince is the time when a claim was first refused
// because of the sending hours. Both times are zero if no claim was refused for this reason.
type StreamState struct {
	Account, Country         string
	ClosedSince, ClosedUntil time.Time
}

// The method "reported" reports whether some recipients have a final delivery report.
func (s *Summary) reported() bool { return s.Delivered+s.Undelivered > 0 }

// summaryFields are the fields that Summary reads. The last field exists from the start of planning
// on.
var summaryFields = []string{
	fieldFormat, fieldUpload, fieldTotal, fieldPending, fieldAccepted, fieldDelivered, fieldUndelivered, fieldRejected, fieldUnknown, fieldSkipped,
	fieldCalls, fieldSegments, fieldResent, fieldOtherText, fieldInFlight, fieldCallsInFlight, fieldCreated, fieldFinished, fieldStart, fieldExpiry,
	fieldPaused, fieldStop, fieldRetry, fieldNextPage, fieldPages, fieldQuarantined, fieldQuarantinedWork, fieldSendingHours,
	fieldThreshold, fieldSnapshot,
}

// Summary reads the state of a campaign. It returns ErrNotFound if the campaign was never committed
// or was removed. While the upload of the campaign is in progress, its state is Uploading.
func (l *Ledger) Summary(ctx context.Context, id string) (Summary, error) {
	s := Summary{ID: id}
	v, spec, archive, err := l.records.summaryParts(ctx, id)
	if err != nil {
		return s, fmt.Errorf("read status of %s: %w", id, err)
	}
	s.Archived = archive != nil
	f := map[string]string{}
	for i, name := range summaryFields {
		f[name] = script.Text(v[i])
	}
	if v[0] == nil {
		return l.records.uploading(ctx, s)
	}
	if n, err := strconv.Atoi(f[fieldFormat]); err != nil {
		return s, unreadable(id, fieldFormat, f[fieldFormat], campaign.ErrRecord)
	} else if n > 1 {
		return s, fmt.Errorf("read status of %s: %w", id, ErrNewer)
	}
	if s.Spec, err = decodeSpec([]byte(spec)); err != nil {
		s.Unreadable = &Unreadable{Campaign: id, Record: specRecord, Bytes: []byte(spec), Err: err}
	}
	for name, to := range map[string]*int{fieldTotal: &s.Total, fieldPending: &s.Pending, fieldAccepted: &s.Accepted, fieldDelivered: &s.Delivered,
		fieldUndelivered: &s.Undelivered, fieldRejected: &s.Rejected, fieldUnknown: &s.Unknown, fieldSkipped: &s.Skipped, fieldCalls: &s.Calls,
		fieldSegments: &s.Segments, fieldResent: &s.Resent, fieldOtherText: &s.OtherText, fieldInFlight: &s.InFlight.Recipients, fieldCallsInFlight: &s.InFlight.Calls,
		fieldQuarantined: &s.Quarantined, fieldQuarantinedWork: &s.QuarantinedWork} {
		*to = script.Int(f[name])
	}
	s.Upload = f[fieldUpload]
	s.CreatedAt, s.FinishedAt = script.Milli(f[fieldCreated]), script.Milli(f[fieldFinished])
	s.StartAt, s.ExpiresAt, s.StoppedBy, s.RetryRecord = script.Milli(f[fieldStart]), script.Milli(f[fieldExpiry]), f[fieldStop], f[fieldRetry]
	if i := strings.LastIndexByte(f[fieldPaused], ' '); i >= 0 {
		s.PausedAt = script.Milli(f[fieldPaused][i+1:])
		s.PausedBy, s.TooManyRejected = parseTooManyRejected(f[fieldPaused][:i])
	}
	s.Canary = openCanary(f[fieldThreshold])
	return s, l.records.summaryExtras(ctx, &s, f, v[len(v)-1] != nil, archive) // the last field is fieldSnapshot
}

// summaryParts reads summaryFields and the spec of a campaign. If the campaign has an archive, it
// reads the archive too.
func (l recordReader) summaryParts(ctx context.Context, id string) (v []any, spec string, archive *archived, err error) {
	for try := 1; ; try++ {
		var fields *redis.SliceCmd
		var record *redis.StringCmd
		_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			fields = p.HMGet(ctx, ledgerKey(id), summaryFields...)
			record = p.Get(ctx, specKey(id))
			return nil
		})
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, "", nil, err
		}
		if v = fields.Val(); v[0] != nil && (record.Val() != "" || try > 1) {
			return v, record.Val(), nil, nil
		}
		f, err := l.form(ctx, id)
		if err != nil {
			return nil, "", nil, err
		}
		if f.archive != nil {
			return f.archive.values(summaryFields), f.archive.spec, f.archive, nil
		}
		if !f.full || try == restoreTries {
			return v, record.Val(), nil, nil
		}
	}
}

// summaryExtras reads the parts of the summary that depend on the campaign's accounts, and derives
// the campaign's state.
func (l recordReader) summaryExtras(ctx context.Context, s *Summary, f map[string]string, hasSnapshot bool, archive *archived) error {
	var snapshot campaign.PlanSnapshot
	if hasSnapshot {
		var err error
		if snapshot, err = decodeSnapshot(f[fieldSnapshot], f[fieldSendingHours]); err != nil {
			snapshot = campaign.PlanSnapshot{}
			s.Unreadable = &Unreadable{Campaign: s.ID, Record: fieldSnapshot, Bytes: []byte(f[fieldSnapshot]), Err: err}
		}
	}
	s.setPlace(snapshot, hasSnapshot)
	var names []string
	for _, acc := range snapshot.Accounts {
		s.Accounts, s.Resend = append(s.Accounts, acc.Name), s.Resend || acc.Resend
	}
	streams := snapshot.Streams()
	for a := range streams {
		names = append(names, plannedField(a))
	}
	if len(snapshot.SendingHours) > 0 {
		for a := range streams {
			names = append(names, nextField(a), openField(a), closedField(a), canaryField(a))
		}
	}
	for _, r := range skipReasons {
		names = append(names, skipReasonField(r))
	}
	s.Routes = snapshot.Routes
	extras := len(names)
	if len(s.Accounts) > 1 {
		names = append(names, countFields(streams)...)
	}
	got, err := l.fieldsIn(ctx, s.ID, archive, names)
	if err != nil {
		return fmt.Errorf("read status of %s: %w", s.ID, err)
	}
	if len(s.Accounts) > 1 {
		s.ByAccount = accountCounts(s.Accounts, streams, got[extras:])
	}
	names = names[:extras]
	s.Reasons = map[string]int{}
	read := map[string]string{}
	for i, n := range names {
		read[n] = script.Text(got[i])
		count := script.Int(got[i])
		if i < streams {
			s.Batches += count
		} else if reason, ok := strings.CutPrefix(n, skipReasonField("")); ok && count > 0 {
			s.Reasons[reason] = count
		}
	}
	if len(snapshot.SendingHours) > 0 {
		s.Streams = openStreams(snapshot, read, s.Canary > 0)
	}
	if len(s.Accounts) == 1 {
		s.ByAccount = s.onlyAccount()
	}
	s.State = s.derivedState(f, hasSnapshot)
	return nil
}

// setPlace sets the country of national numbers and the sending hours. It takes both from the plan
// snapshot. Before planning, it takes both from the spec.
func (s *Summary) setPlace(snapshot campaign.PlanSnapshot, planned bool) {
	s.Country, s.SendingHours = cmp.Or(snapshot.Country, s.Spec.Country), snapshot.SendingHours
	if d := s.Spec.Defaults; d != nil && !planned {
		s.Country, s.SendingHours = cmp.Or(s.Country, d.Country), d.Hours()
	}
}

// derivedState returns the state of the campaign with the given ledger fields.
func (s *Summary) derivedState(f map[string]string, hasSnapshot bool) campaign.State {
	s.Planned = f[fieldNextPage] == f[fieldPages]
	switch {
	case s.StoppedBy == campaign.ReasonCancelled:
		return campaign.Cancelled
	case f[fieldFinished] != "":
		return campaign.Done
	case s.PausedBy != "":
		return campaign.Paused
	case !hasSnapshot && s.StartAt.After(s.CreatedAt):
		return campaign.Scheduled
	case !s.Planned && s.StoppedBy == "":
		return campaign.Planning
	}
	return campaign.Sending
}

// openStreams returns the streams that still have work: open batches, or planned batches that are
// not handed out. While the canary is open, only its batches count as not handed out.
func openStreams(f campaign.PlanSnapshot, fields map[string]string, canary bool) (out []StreamState) {
	last := plannedField
	if canary {
		last = canaryField
	}
	for a := range f.Streams() {
		if script.Int(fields[openField(a)]) == 0 && script.Int(fields[nextField(a)]) >= script.Int(fields[last(a)]) {
			continue
		}
		stream := f.Stream(a)
		since, until, _ := strings.Cut(fields[closedField(a)], " ")
		out = append(out, StreamState{Account: stream.Account.Name, Country: stream.SendingHours.Country, ClosedSince: script.Milli(since), ClosedUntil: script.Milli(until)})
	}
	return out
}

// skipReasons are all reasons for which a recipient can be skipped. The ledger hash counts each
// reason in the field "x:REASON".
var skipReasons = []string{campaign.ReasonInvalidNumber, campaign.ReasonDuplicate, campaign.ReasonCancelled, campaign.ReasonExpired, campaign.ReasonOverCap, campaign.ReasonNoRoute, campaign.ReasonOptedOut,
	campaign.ReasonMissingField, campaign.ReasonBodyTooLong}

func (l recordReader) uploading(ctx context.Context, s Summary) (Summary, error) {
	uploads, err := l.rdb.Exists(ctx, uploadsKey(s.ID)).Result()
	if err != nil {
		return s, fmt.Errorf("read status of %s: %w", s.ID, err)
	}
	if uploads == 0 {
		return s, fmt.Errorf("read status of %s: %w", s.ID, ErrNotFound)
	}
	at, err := l.rdb.ZScore(ctx, openIndex, s.ID).Result()
	if errors.Is(err, redis.Nil) {
		return s, fmt.Errorf("read status of %s: %w", s.ID, ErrNotFound) // Redis has the token of the upload, but not its index entry, because the upload begins or ends just now
	}
	if err != nil {
		return s, fmt.Errorf("read status of %s: %w", s.ID, err)
	}
	s.State, s.CreatedAt = campaign.Uploading, time.UnixMilli(int64(at)).UTC()
	return s, nil
}
