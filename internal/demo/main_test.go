package demo

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(providertest.Guarded(m)) }
