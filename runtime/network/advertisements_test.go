package network

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAdvertisementsOfPodsAreRefused(t *testing.T) {
	conf := t.TempDir()
	setting := filepath.Join(conf, "gantrypx", "accept_ra")
	if err := os.MkdirAll(filepath.Dir(setting), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(setting, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := refuseAdvertisements(conf, "gantrypx"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(setting); err != nil || string(got) != "0" {
		t.Errorf("accept_ra is %q, %v", got, err)
	}
	if err := refuseAdvertisements(conf, "none"); err != nil {
		t.Errorf("without IPv6: %v", err)
	}
	if _, err := os.Stat(filepath.Join(conf, "none")); err == nil {
		t.Error("something was made where there is no IPv6")
	}
}
