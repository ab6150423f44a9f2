package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/producer"
)

type idInput struct {
	ID string `path:"id" maxLength:"128" example:"sale-2025-11"`
}

type retryInput struct {
	ID   string `path:"id" maxLength:"128" example:"sale-2025-11"`
	Body struct {
		Unknown  bool `json:"unknown,omitempty" doc:"Send again to recipients of unknown outcome. They may get the message twice."`
		Rejected bool `json:"rejected,omitempty" example:"true" doc:"Send again to rejected recipients."`
	}
}

type retryOutput struct {
	Body struct {
		Recipients int `json:"recipients" doc:"Number of recipients that get the message again."`
		OptedOut   int `json:"opted_out" doc:"Number of recipients that are skipped because they have opted out."`
	}
}

type rescheduleInput struct {
	ID   string `path:"id" maxLength:"128" example:"sale-2025-11"`
	Body struct {
		StartAt time.Time `json:"start_at" doc:"The new start. A time in the past means now."`
	}
}

type noOutput struct{}

// addControls adds the operations that change a campaign or a message.
func (a *API) addControls() {
	control := func(verb, summary string, do func(context.Context, string) (producer.InFlight, error)) {
		huma.Register(a.huma, operation(verb+"-campaign", http.MethodPost, "/v1/campaigns/{id}/"+verb, summary, keys.ScopeSend),
			func(ctx context.Context, in *idInput) (*campaignOutput, error) {
				if _, err := do(ctx, in.ID); err != nil {
					return nil, a.problem(err)
				}
				a.record(ctx, "campaign."+verb, in.ID, "")
				out, err := a.getCampaign(ctx, in)
				if err == nil && verb == "cancel" {
					a.giveBackCancelled(ctx, out.Body)
				}
				return out, err
			})
	}
	control("pause", "Pause a campaign", a.Client.Pause)
	control("resume", "Resume a campaign", a.Client.Resume)
	control("cancel", "Cancel a campaign", a.Client.Cancel)
	huma.Register(a.huma, operation("retry-campaign", http.MethodPost, "/v1/campaigns/{id}/retry", "Send again to recipients that were not reached", keys.ScopeSend), a.retry)
	huma.Register(a.huma, operation("reschedule-campaign", http.MethodPost, "/v1/campaigns/{id}/reschedule", "Move the start of a campaign", keys.ScopeSend), a.reschedule)
	huma.Register(a.huma, operation("purge-campaign", http.MethodDelete, "/v1/campaigns/{id}", "Delete a campaign that has ended", keys.ScopeAdmin, status(http.StatusNoContent)), a.purge)
}

func (a *API) retry(ctx context.Context, in *retryInput) (*retryOutput, error) {
	if !in.Body.Unknown && !in.Body.Rejected {
		return nil, a.problem(&producer.FieldError{Field: "unknown", Problem: `set "unknown", "rejected" or both to true`})
	}
	n, err := a.countedRetry(ctx, in)
	if err != nil {
		return nil, a.problem(err)
	}
	a.record(ctx, "campaign.retry", in.ID, strconv.Itoa(n)+" recipients")
	last, err := a.Client.LastRetry(ctx, in.ID)
	if err != nil {
		return nil, a.problem(err)
	}
	out := &retryOutput{}
	out.Body.Recipients, out.Body.OptedOut = n, last.OptedOut
	return out, nil
}

// giveBackCancelled gives messages of a cancelled campaign back to the key that enqueued the campaign. It gives back the
// messages that were not submitted. A failure is only logged, because the sweeper gives these messages back later. The
// sweeper also gives back the messages whose calls are still in flight now.
func (a *API) giveBackCancelled(ctx context.Context, st producer.Status) {
	if err := a.Keys.GiveBackCancelled(context.WithoutCancel(ctx), st.CreatedBy, st.ID, st.CreatedAt, st.Reasons["cancelled"]); err != nil {
		a.Logger.Debug().Err(err).Msg("could not give cancelled messages back to the daily limit of a key")
	}
}

// countedRetry retries a campaign, and counts its messages against the daily limit of the key.
func (a *API) countedRetry(ctx context.Context, in *retryInput) (n int, err error) {
	st, err := a.Client.Status(ctx, in.ID)
	if err != nil {
		return 0, err
	}
	key, expected := keyOf(ctx), 0
	if in.Body.Unknown {
		expected += st.Unknown
	}
	if in.Body.Rejected {
		expected += st.Rejected
	}
	if err := a.Keys.Take(ctx, key, 0, expected); err != nil {
		return 0, err
	}
	n, err = a.Client.Retry(ctx, in.ID, producer.RetryOptions{Unknown: in.Body.Unknown, Rejected: in.Body.Rejected})
	if err != nil && !certainlyNotRetried(err) {
		return n, err // the retry may have begun, so its messages stay counted
	}
	// n may be larger than expected, because more recipients were refused meanwhile. It may be smaller,
	// because fewer recipients are left to retry.
	if failed := a.Keys.Correct(context.WithoutCancel(ctx), key, n-expected); failed != nil {
		a.Logger.Debug().Err(failed).Msg("could not correct the daily count of a key")
	}
	return n, err
}

// certainlyNotRetried reports whether an error means that the retry was refused and sends nothing. For ErrBusy the
// result is false, because the sweeper may have continued the retry.
func certainlyNotRetried(err error) bool {
	for _, refused := range []error{producer.ErrInvalid, producer.ErrNotFound, producer.ErrNothingToRetry, producer.ErrDone, producer.ErrStopped, producer.ErrPurged, producer.ErrPlanning} {
		if errors.Is(err, refused) {
			return true
		}
	}
	return false
}

func (a *API) reschedule(ctx context.Context, in *rescheduleInput) (*campaignOutput, error) {
	if err := a.Client.Reschedule(ctx, in.ID, in.Body.StartAt); err != nil {
		return nil, a.problem(err)
	}
	a.record(ctx, "campaign.reschedule", in.ID, in.Body.StartAt.UTC().Format(time.RFC3339))
	return a.getCampaign(ctx, &idInput{ID: in.ID})
}

func (a *API) purge(ctx context.Context, in *idInput) (*noOutput, error) {
	if err := a.Client.Purge(ctx, in.ID); err != nil {
		return nil, a.problem(err)
	}
	a.record(ctx, "campaign.purge", in.ID, "")
	return &noOutput{}, nil
}
