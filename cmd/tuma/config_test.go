package main

import (
	"strings"
	"testing"
)

const koboYAML = "accounts:\n  k:\n    provider: kobo\n    user: u\n    pass: p\n"

func TestConfig_FileFromFlagOrEnvironment(t *testing.T) {
	t.Parallel()
	broken := func(name string) string { return "retention: " + name + "\n" }
	c := newCLI(t, "")
	byFlag, byEnvironment := c.file("flag.yaml", broken("flag")), c.file("env.yaml", broken("env"))
	c.env = []string{"TUMA_CONFIG=" + byEnvironment}
	if _, errOut, exit := c.run("list"); exit != exitMisuse || !strings.Contains(errOut, byEnvironment+`:1: retention: "env"`) {
		t.Errorf("TUMA_CONFIG is not read: %s", errOut)
	}
	if _, errOut, _ := c.run("list", "--config", byFlag); !strings.Contains(errOut, byFlag+`:1: retention: "flag"`) {
		t.Errorf("--config does not win: %s", errOut)
	}
	for _, missing := range [][]string{{"list", "--config", "not-there.yaml"}, {"check", "--config", "not-there.yaml"}, {"list", "--config", c.dir}} {
		if _, errOut, exit := c.run(missing...); exit != exitMisuse || strings.Count(errOut, "\n") != 1 {
			t.Errorf("tuma %v: exit %d, %s", missing, exit, errOut)
		}
	}
	c.env = nil
	if _, errOut, exit := c.run("check"); exit != exitMisuse || !strings.Contains(errOut, "tuma.yaml is not in this directory") {
		t.Errorf("check without a configuration: exit %d, %s", exit, errOut)
	}
}
