package ledger

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// The overlay holds the result of delivery reports, in two bytes for each row. A page has
// overlayRows rows. Without a final report, the first byte is 0. Otherwise it is 64 for delivered
// or 128 for undelivered, plus the position of the reason in the campaign's list of reasons (0 for
// no reason). The second byte is the time from the settle to the report on the scale of
// overlayDelay.
const overlayRows = 16_000

// overlayKey returns the key of an overlay page; the first page is 0. delaysKey returns the key of
// a hash that counts the delivered messages by time to delivery. A field of this hash is the
// second byte of a row in the overlay.
func overlayKey(id string, page int) string {
	return keyPrefix + "{" + id + "}:d:" + strconv.Itoa(page)
}
func delaysKey(id string) string { return keyPrefix + "{" + id + "}:dt" }

// overlayStep is the ratio of two successive steps on the scale of delays. The scale begins at overlayFirst
// and ends at 74 hours.
const (
	overlayStep  = 1.06
	overlayFirst = 100 * time.Millisecond
)

// overlayDelay returns the delay for a code of report.lua. Each code, from 1, stands for a range of delays, and
// overlayDelay returns the middle of the range.
func overlayDelay(code int) time.Duration {
	if code <= 1 {
		return overlayFirst / 2
	}
	return time.Duration(float64(overlayFirst) * math.Pow(overlayStep, float64(code)-0.5))
}

// applyOverlay gives accepted rows the status of their final delivery report. UpdatedAt remains the
// time of the settle. DeliveredAt is the time of the settle plus a delay. The stored delay has an error of
// at most 3 percent.
func (l recordReader) applyOverlay(ctx context.Context, id string, rows []Row) error {
	first, last := map[int]int{}, map[int]int{} // by page, the positions of the first and the last row that are read
	for _, r := range rows {
		if r.Status == campaign.Accepted {
			page, at := (r.Row-1)/overlayRows, (r.Row-1)%overlayRows
			if from, ok := first[page]; !ok || at < from {
				first[page] = at
			}
			last[page] = max(last[page], at)
		}
	}
	if len(first) == 0 {
		return nil
	}
	var list *redis.SliceCmd
	pages := map[int]*redis.StringCmd{}
	var archive *archived
	for try := 1; ; try++ {
		_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for page := range first {
				pages[page] = p.GetRange(ctx, overlayKey(id, page), int64(2*first[page]), int64(2*last[page]+1))
			}
			list = p.HMGet(ctx, ledgerKey(id), fieldReportReasons, fieldFormat) // this command runs last, so that the list contains the reasons of all rows that were read before
			return nil
		})
		if err != nil {
			return fmt.Errorf("read delivery reports of %s: %w", id, err)
		}
		if list.Val()[1] != nil {
			break
		}
		f, err := l.form(ctx, id)
		if err != nil {
			return err
		}
		if archive = f.archive; !f.full || try == restoreTries {
			break
		}
	}
	if archive != nil { // of one recipient
		applyReports(rows, first, func(int) string { return archive.overlay }, archive.fields[fieldReportReasons])
		return nil
	}
	applyReports(rows, first, func(page int) string { return pages[page].Val() }, script.Text(list.Val()[0]))
	return nil
}

// applyReports applies what applyOverlay has read: the bytes of each page from the first row on, and the list of
// reasons.
func applyReports(rows []Row, first map[int]int, pageBytes func(page int) string, list string) {
	reasons := strings.Split(list, "\n")
	for i := range rows {
		r := &rows[i]
		if r.Status != campaign.Accepted {
			continue
		}
		page := (r.Row - 1) / overlayRows
		bytes, at := pageBytes(page), 2*((r.Row-1)%overlayRows-first[page])
		if at+1 < len(bytes) && bytes[at] != 0 {
			r.report(bytes[at], bytes[at+1], reasons)
		}
	}
}

// The method "report" applies the two bytes of the overlay to a row. reasons is the campaign's list of reasons.
func (r *Row) report(status, delay byte, reasons []string) {
	if status&64 != 0 {
		if r.Status = campaign.Delivered; delay > 0 && !r.UpdatedAt.IsZero() {
			r.DeliveredAt = r.UpdatedAt.Add(overlayDelay(int(delay))).Truncate(time.Millisecond)
		}
		return
	}
	r.Status = campaign.Undelivered
	reason, state := "", ""
	if n := int(status & 63); n > 0 && n <= len(reasons) {
		reason, state, _ = strings.Cut(reasons[n-1], ":")
	}
	if r.Reason == campaign.ReasonReconciled {
		r.Code = reason
		return
	}
	r.Reason, r.Code = reason, state
}

// DeliveryTimes are the times from acceptance to delivery of a campaign's delivered messages, exact
// to 3 percent. Messages is the number of these messages; if it is 0, the times are 0.
type DeliveryTimes struct {
	Messages    int
	Median, P95 time.Duration
}

// DeliveryTimes reads the times to delivery of a campaign.
func (x *Reports) DeliveryTimes(ctx context.Context, id string) (DeliveryTimes, error) {
	var d DeliveryTimes
	counts, err := x.ledger.rdb.HGetAll(ctx, delaysKey(id)).Result()
	if err != nil {
		return d, fmt.Errorf("read delivery times of %s: %w", id, err)
	}
	if len(counts) == 0 {
		f, err := x.ledger.records.form(ctx, id)
		if err != nil {
			return d, fmt.Errorf("read delivery times of %s: %w", id, err)
		}
		if f.archive != nil {
			counts = f.archive.delays
		}
	}
	var by [256]int
	for field, n := range counts {
		if code := script.Int(field); code > 0 && code < len(by) {
			by[code] = script.Int(n)
			d.Messages += by[code]
		}
	}
	d.Median, d.P95 = quantile(by, (d.Messages+1)/2), quantile(by, (d.Messages*95+99)/100)
	return d, nil
}

// quantile returns the delay of the message with the given rank. The message with the shortest delay has rank 1.
func quantile(by [256]int, rank int) time.Duration {
	for code, n := range by {
		if rank -= n; n > 0 && rank <= 0 {
			return overlayDelay(code)
		}
	}
	return 0
}
