package producer

import (
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// State is the state of a campaign.
type State string

const (
	// Uploading means that an Enqueue is under way and nothing is committed yet.
	Uploading State = "uploading"
	// Scheduled means that Campaign.StartAt is in the future.
	Scheduled State = "scheduled"
	// Planning means that workers still plan the uploaded recipients. Meanwhile workers already
	// send to the planned recipients.
	Planning State = "planning"
	// Sending means that all recipients are planned and some are pending.
	Sending State = "sending"
	// Paused means that no new call starts until Resume.
	Paused State = "paused"
	// Cancelled means that the campaign was cancelled. Recipients of calls in flight may still be
	// pending.
	Cancelled State = "cancelled"
	// Done means that no recipient is pending.
	Done State = "done"
)

// Counts counts recipients by status. After the commit of a campaign, Total is always the sum of the
// other seven fields.
type Counts struct {
	Total       int `json:"total"`
	Pending     int `json:"pending"`
	Accepted    int `json:"accepted"`
	Delivered   int `json:"delivered"`
	Undelivered int `json:"undelivered"`
	Rejected    int `json:"rejected"`
	Unknown     int `json:"unknown"`
	Skipped     int `json:"skipped"`
}

// AccountCounts counts a campaign's recipients at one of its accounts. Recipients that planning
// skipped or has not reached belong to no account.
type AccountCounts struct {
	Account string `json:"account"`
	Counts
}

// Block is a reason why a campaign sends nothing at the moment.
type Block struct {
	// Account is the blocked account. It is empty if the whole campaign is blocked.
	Account string `json:"account,omitempty"`
	// Reason is one of these words, or the reason of the account's hold, such as
	// "nothing_accepted": the account accepts nothing, and has refused 50 recipients in a row, so
	// bulk campaigns wait.
	//
	//   - "paused"
	//   - "no_worker": no live worker serves the account
	//   - "no_route": the campaign names no account, and the workers have no routes
	//   - "later": the gateway has deferred all remaining recipients
	//   - "set_aside": records are quarantined; see Status.Quarantined
	//   - "queue_paused": a queue is paused with asynq's own tools
	//   - "window": the sending hours of all remaining recipients are closed at the moment
	Reason string `json:"reason"`
	// Queue is the asynq queue that is paused, if Reason is "queue_paused".
	Queue string `json:"queue,omitempty"`
	// Country is the country whose sending hours are over, as an ISO code.
	Country string `json:"country,omitempty"`
	// Code is the gateway's own code, if an answer of the gateway caused the hold. Otherwise it is
	// empty.
	Code string `json:"code,omitempty"`
	// By names the person or the worker that paused the campaign or set the hold.
	By string `json:"by,omitempty"`
	// Since is when the block began, if it is known.
	Since *time.Time `json:"since,omitempty"`
	// Until is when workers try to send again. It is nil if a person must act first.
	Until *time.Time `json:"until,omitempty"`
	// Incompatible lists the other accounts of the route that cannot take over the work of a
	// held account, each with the reason.
	Incompatible []string `json:"unfit,omitempty"`
}

// Status is the state of a campaign and its counts, as in `tuma status --json`.
type Status struct {
	ID    string `json:"id"`
	State State  `json:"state"`
	// Body is the stored text of the campaign, with its merge fields. It may differ from
	// Campaign.Body, because Enqueue replaces escaped braces and applies Campaign.Transliterate.
	Body string `json:"body"`
	// From is the sender ID of the messages. If the campaign does not name a sender ID, From is the
	// present default of the campaign's accounts, or empty if these accounts have different defaults.
	From string `json:"from"`
	// Via is the account that the campaign names. It is empty if routes choose the accounts: see
	// Accounts.
	Via string `json:"via"`
	// Country is the country of numbers in national format. If the campaign names no country, the
	// workers' default applies, and Country is empty until planning starts.
	Country string `json:"country"`
	// Windows are the sending hours of a Marketing campaign by country, such as "KE":
	// "08:00-18:00". They are the hours that were in force at the time of Enqueue.
	Windows map[string]string `json:"windows,omitempty"`
	// CreatedBy and Notes have the values that the Campaign had at Enqueue. Notes is never nil.
	CreatedBy string   `json:"created_by"`
	Notes     []string `json:"notes"`
	// BlockedBy lists why the campaign sends nothing at the moment. It is empty if nothing blocks
	// the campaign.
	BlockedBy []Block `json:"blocked_by"`
	// ETA is when the campaign should be done. It is nil if this time cannot be estimated.
	ETA *time.Time `json:"eta"`
	Counts
	// Reasons counts the skipped recipients by reason.
	Reasons map[string]int `json:"reasons,omitempty"`
	// OtherText is the number of recipients that were skipped as duplicates although their text
	// differs from the text that the number gets. DuplicatesEach would also send these texts.
	OtherText int `json:"duplicates_other_text,omitempty"`
	// Batches is the number of batches that were planned.
	Batches int `json:"batches"`
	// Calls is the number of requests submitted to gateways. A repeated request counts once.
	Calls int `json:"calls"`
	// Segments is the number of segments of the accepted messages.
	Segments int `json:"segments"`
	// Resent is the number of recipients that were submitted again although their first message
	// had been accepted.
	Resent int `json:"resent,omitempty"`
	// OnUnknown is OnUnknownResend if at least one account of the campaign submits recipients with
	// an unknown outcome once more. Otherwise, and before planning starts, it is empty.
	OnUnknown string `json:"on_unknown,omitempty"`
	// Quarantined is the number of records and tasks of the campaign that a worker could not read.
	// The rest of the campaign continues. Recipients in these records keep their last status, and
	// Results ends with an error at the first such record. Resume lets workers try to read the
	// records again.
	Quarantined int `json:"set_aside,omitempty"`
	// Unreadable describes up to five quarantined records.
	Unreadable []string `json:"unreadable,omitempty"`
	// InFlight counts the calls that are in flight at the moment.
	InFlight InFlight `json:"in_flight"`
	// Accounts names the accounts that the campaign was planned for.
	Accounts []string `json:"accounts,omitempty"`
	// ByAccount has the counts of each account once planning has started. The counts include the
	// recipients that wait for the account or have ended there.
	ByAccount []AccountCounts `json:"by_account,omitempty"`
	// Reports counts the delivery reports so far. It is nil if no account of the campaign collects
	// delivery reports.
	Reports *Reports `json:"reports,omitempty"`
	// Canary is the progress of the canary. It is nil if the campaign has no canary or the canary
	// is over.
	Canary *Canary `json:"canary,omitempty"`
	// TooManyRejected has the counts that led to a pause with the reason "too_many_rejected".
	TooManyRejected *TooManyRejected `json:"too_many_rejected,omitempty"`
	// MaxRejected is the maximum percentage of messages that may be rejected or unknown; 0 means
	// no limit.
	MaxRejected float64 `json:"max_rejected,omitempty"`
	// Rate is the sum of the rates of the accounts in Accounts, in their units a second. 0 means
	// unlimited.
	Rate      float64    `json:"rate,omitempty"`
	Class     Class      `json:"class,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	StartAt   *time.Time `json:"start_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// FinishedAt is when the last recipient ended. It is nil while recipients are pending.
	FinishedAt *time.Time `json:"finished_at"`
}

// Reports counts the delivery reports of a campaign. A campaign may be done before its reports
// arrive.
type Reports struct {
	// Expected is the number of accepted messages whose account collects delivery reports. Final is
	// the number of these messages that are delivered or undelivered.
	Expected int `json:"expected"`
	Final    int `json:"final"`
	// Sampled is true if reports are collected only for a random sample of the messages. Expected then counts the messages
	// of the sample. Expected is an estimate while the campaign is being sent. It stays an estimate if the gateway did not
	// accept some messages.
	Sampled bool `json:"sampled"`
	// Until is when the last report can be matched. It is nil while the campaign is being sent.
	Until *time.Time `json:"until"`
	// Rate is the share of delivered messages among those with a final report, from 0 to 1. It is nil
	// if no report is final.
	Rate *float64 `json:"rate"`
	// Low and High are the bounds of a 95 percent confidence interval (Wilson). The interval is for
	// the share of delivered messages among all accepted messages of the campaign. Both are nil
	// unless Sampled is true and a report is final.
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
	// MedianSeconds and P95Seconds are the times within which half and 95 percent of the delivered
	// messages were delivered. Such a time begins when the gateway accepts the message, and ends with
	// its delivery report. Both are exact to 3 percent, and nil if no message is delivered.
	MedianSeconds *float64 `json:"median_seconds"`
	P95Seconds    *float64 `json:"p95_seconds"`
}

// Canary is the progress of a campaign's canary: the first messages, all of which must end before
// any other message goes out.
type Canary struct {
	// Size is the number of messages in the canary. It is less than Campaign.Canary if the campaign
	// has fewer recipients that can get a message.
	Size int `json:"size"`
	// Ended is the number of canary messages that have ended, including Rejected and Unknown.
	Ended    int `json:"ended"`
	Rejected int `json:"rejected"`
	Unknown  int `json:"unknown"`
}

// TooManyRejected has the counts that paused a campaign. Bad is the number of rejected or unknown
// messages among the Ended messages. Bad was more than Campaign.MaxRejected percent of Ended.
type TooManyRejected struct {
	Bad   int `json:"rejected_or_unknown"`
	Ended int `json:"ended"`
	// Canary reports whether the counted messages are the campaign's canary. If they are not, the
	// count began at the latest of these events: the start of the campaign, a Resume after a pause
	// for too many rejected messages, or a restart of the count after ThresholdSpan messages.
	Canary bool `json:"canary,omitempty"`
}

// Ended reports whether the campaign has ended: it is done, or it is cancelled and no
// recipient is pending.
func (s Status) Ended() bool { return s.State == Done || s.State == Cancelled && s.Pending == 0 }

// statusOf returns the status without the fields that depend on accounts: BlockedBy, ETA and Rate.
func statusOf(sum ledger.Summary) Status {
	s := Status{ID: sum.ID, State: State(sum.State), Counts: Counts(sum.Counts), Reasons: sum.Reasons, OtherText: sum.OtherText,
		Batches: sum.Batches, Calls: sum.Calls, Segments: sum.Segments, Resent: sum.Resent, InFlight: InFlight(sum.InFlight),
		Accounts: sum.Accounts, Class: Class(sum.Spec.Class), CreatedAt: sum.CreatedAt, StartAt: timeOrNil(sum.StartAt),
		ExpiresAt: timeOrNil(sum.ExpiresAt), FinishedAt: timeOrNil(sum.FinishedAt), BlockedBy: []Block{}, Quarantined: sum.Quarantined}
	s.Body, s.From, s.Via, s.Country, s.CreatedBy = sum.Spec.Body, sum.Spec.From, sum.Spec.Via, sum.Country, sum.Spec.CreatedBy
	for _, h := range sum.SendingHours {
		if s.Windows == nil {
			s.Windows = map[string]string{}
		}
		s.Windows[h.Country] = h.Hours
	}
	s.Notes = append([]string{}, sum.Spec.Notes...)
	if sum.Unreadable != nil {
		s.Quarantined = max(1, s.Quarantined) // count the unreadable record before a worker has quarantined it
	}
	for _, a := range sum.ByAccount {
		s.ByAccount = append(s.ByAccount, AccountCounts{Account: a.Account, Counts: Counts(a.Counts)})
	}
	s.MaxRejected = sum.Spec.FailureThreshold()
	if t := sum.TooManyRejected; t != nil {
		s.TooManyRejected = &TooManyRejected{Bad: t.Bad, Ended: t.Ended, Canary: t.Canary}
	}
	if sum.Canary > 0 && !s.Ended() && sum.StoppedBy == "" {
		s.Canary = &Canary{Size: sum.Canary, Ended: s.Total - s.Pending - s.Skipped, Rejected: s.Rejected, Unknown: s.Unknown}
	}
	if sum.Resend {
		s.OnUnknown = OnUnknownResend
	}
	return s
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
