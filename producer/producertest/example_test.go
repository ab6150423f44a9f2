package producertest_test

import (
	"context"
	"testing"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/producer/producertest"
)

// orders is a service that tells customers about their orders.
type orders struct{ sms *producer.Client }

func (o *orders) Notify(ctx context.Context, order, phone string) error {
	_, err := o.sms.Enqueue(ctx, producer.Campaign{ID: "order-" + order, Via: "test", Body: "Order " + order + " is on its way."}, producer.Numbers(phone))
	return err
}

func TestNotify(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	shop := &orders{sms: tuma.Client()}
	for range 2 { // the second Notify changes nothing
		if err := shop.Notify(t.Context(), "1234", "0712 345 678"); err != nil {
			t.Fatal(err)
		}
	}
	tuma.AssertSent(t, "0712 345 678", "Order 1234 is on its way.")
}

func TestNotify_LostAnswerIsUnknown(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	tuma.UnknownNext(1)
	shop := &orders{sms: tuma.Client()}
	if err := shop.Notify(t.Context(), "1234", "0712 345 678"); err != nil {
		t.Fatal(err)
	}
	tuma.AssertStatus(t, "order-1234", "0712 345 678", "unknown")
}
