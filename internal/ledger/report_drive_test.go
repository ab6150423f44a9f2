package ledger

import (
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// The method "report" applies delivery reports about some rows in one run. Some reports are repeated, contradict
// an earlier report, come before the settle, or have the id of another message.
func (d *sequenceDriver) report() {
	var reports []Report
	var want []ReportOutcome
	for range 1 + d.draw(5, "reports") {
		row := 1 + d.draw(len(d.m.rows), "row")
		r := d.m.rows[row-1]
		if r.call == "" || r.left != "" {
			continue
		}
		id := fmt.Sprintf("ATXid_%032x", row)
		known := len(r.sent) > 0 && r.status == campaign.Accepted
		if known && !d.chance(4, "other id") {
			id = r.sent[d.draw(len(r.sent), "submission")].id
		} else {
			known = false
		}
		at := strings.LastIndexByte(r.call, '.')
		x := Report{Batch: r.call[:at], Position: r.pos, Row: row, MessageID: id, Delivered: d.chance(2, "delivered"), Reason: "AbsentSubscriber", State: "Failed", At: time.Now().Add(time.Duration(d.draw(100, "delay")) * time.Minute)}
		_, err := fmt.Sscan(r.call[at+1:], &x.Call)
		d.ok(err)
		reports = append(reports, x)
		switch {
		case known && r.report != campaign.Pending:
			want = append(want, ReportRepeated)
		case known:
			want = append(want, ReportApplied)
			if r.report = campaign.Undelivered; x.Delivered {
				r.report = campaign.Delivered
			}
		case r.status == campaign.Pending || r.status == campaign.Unknown:
			want = append(want, ReportUnsettled)
		default:
			want = append(want, ReportOther)
		}
	}
	if len(reports) == 0 {
		return
	}
	upload, _, err := d.l.Index().Upload(d.ctx, d.id)
	d.ok(err)
	got, err := d.reports.Apply(d.ctx, d.id, upload, reports)
	d.ok(err)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		d.rt.Fatalf("reports %+v: got %v, want %v", reports, got, want)
	}
}
