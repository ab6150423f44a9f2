package kobosim_test

import (
	"testing"

	"github.com/tuma-sms/tuma/providers/providertest"
)

func TestMain(m *testing.M) { providertest.Main(m) }
