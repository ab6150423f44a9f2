package worker

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/census"
	"github.com/tuma-sms/tuma/internal/dispatch"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
)

// account is an Account together with its limiter and the gateway's facts (providers.Info).
type account struct {
	Account
	info    providers.Info
	limiter *ratelimit.Redis
	load    census.Recorder // load measures how fast the gateway answers.
	// The field "sending" is the part of the account that sends batches.
	sending *dispatch.Account
}

// reportFor returns how long the worker waits for a delivery report of the account. 0 means that reports are not
// collected.
func (a Account) reportFor() time.Duration {
	if a.Reports == "" || a.Reports == ReportsOff {
		return 0
	}
	return a.ReportFor
}

// MaxReportSample is the largest number of messages of a sample (ReportsSample).
const MaxReportSample = 1_000_000

// SampleSize returns the number N in a value "sample:N" of Account.Reports. For other values, or if N is not from 1 to
// MaxReportSample, it returns 0.
func SampleSize(reports string) int {
	text, ok := strings.CutPrefix(reports, ReportsSample)
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 1 || n > MaxReportSample || strconv.Itoa(n) != text {
		return 0
	}
	return n
}

// Polls reports whether `tuma serve` must request the delivery reports from the gateway of a provider. This is so if
// the gateway answers requests for the status of a message (providers.StatusPoller).
func Polls(p providers.Provider) bool {
	_, ok := p.(providers.StatusPoller)
	return ok
}

// newAccount checks the configuration a, fills in its defaults, and returns the account. It leaves the field "sending"
// of the account empty; the method connect sets this field.
func newAccount(rdb redis.UniversalClient, a Account) (*account, error) {
	var mistakes []error
	if !accounts.ValidName(a.Name) {
		mistakes = append(mistakes, fmt.Errorf("name %.40q must have 1 to 64 of the characters A-Z a-z 0-9 _ -", a.Name))
	}
	if a.Provider == nil {
		return nil, errors.Join(append(mistakes, errors.New("no provider: set Account.Provider"))...)
	}
	info := a.Provider.Info()
	if err := info.Check(); err != nil {
		mistakes = append(mistakes, fmt.Errorf("provider info: %w", err))
	}
	if a.Unit == "" {
		a.Unit = UnitMessages
	}
	if a.Unit != UnitMessages && a.Unit != UnitSegments && a.Unit != UnitRequests {
		mistakes = append(mistakes, fmt.Errorf("unit %.40q must be messages, segments or requests", a.Unit))
	}
	if a.OnUnknown != "" && a.OnUnknown != OnUnknownKeep && a.OnUnknown != OnUnknownResend {
		mistakes = append(mistakes, fmt.Errorf("OnUnknown %.40q must be keep or resend", a.OnUnknown))
	}
	sample := SampleSize(a.Reports)
	if a.Reports != "" && a.Reports != ReportsOff && a.Reports != ReportsAll && sample == 0 {
		mistakes = append(mistakes, fmt.Errorf("reports %.40q must be all, sample:N or off", a.Reports))
	}
	if sample > 0 && !Polls(a.Provider) {
		mistakes = append(mistakes, fmt.Errorf("reports: the gateway %s does not answer requests for the status of a message, so sample:N cannot be used", info.Name))
	}
	if a.Reports == ReportsAll && !Polls(a.Provider) && (!info.DLRNamesRecipient || info.KeyTTL > 0) {
		mistakes = append(mistakes, fmt.Errorf("reports: the gateway %s has no delivery reports that Tuma can match, so reports must be off", info.Name))
	}
	if a.CallbackURL != "" && (!info.NamesCallback || !strings.HasSuffix(a.CallbackURL.Reveal(), "/")) {
		mistakes = append(mistakes, fmt.Errorf("CallbackURL must end with a slash, and the gateway %s must accept a callback URL in each call", info.Name))
	}
	if a.ReportFor <= 0 {
		a.ReportFor = DefaultReportFor
	}
	if a.Concurrency <= 0 {
		a.Concurrency = 8
	}
	if a.Timeout <= 0 {
		a.Timeout = 30 * time.Second
	}
	if a.MaxAttempts <= 0 {
		a.MaxAttempts = 8
	}
	limiter, err := ratelimit.NewRedis(rdb, accounts.RateKey(a.Name), a.Rate, a.Burst)
	if err != nil {
		return nil, errors.Join(append(mistakes, err)...)
	}
	if a.ReconcileFor == 0 {
		a.ReconcileFor = time.Minute
	}
	return &account{Account: a, info: info, limiter: limiter.Following(accounts.Key(a.Name))}, errors.Join(mistakes...)
}
