package lab

import (
	"slices"
	"testing"
)

func TestWhoseAFileIs(t *testing.T) {
	for path, want := range map[string]string{
		baseDir + "/labs/e2e/master-1/disk.img":      "e2e",
		baseDir + "/labs/e2e.gone/master-1/disk.img": "e2e",
		baseDir + "/labtest.moved/a/disk.img":        "labtest",
		baseDir + "/labtest.moved":                   "labtest",
		baseDir + "/images/bookworm-1/bin/sh":        "",
		"/var/lib/other/labs/e2e/disk.img":           "",
	} {
		if got := labOf(path); got != want {
			t.Errorf("%s is of lab %q, want %q", path, got, want)
		}
	}
}

func TestADeviceOnADevice(t *testing.T) {
	disk := loop{name: "loop0", file: baseDir + "/labs/e2e/a/disk.img", on: "254:0"}
	inner := loop{name: "loop1", file: "/var/lib/volume.img", on: "7:0"}
	all := map[string]loop{"7:0": disk, "7:1": inner, "7:2": {name: "loop2", file: "/root/x", on: "254:0"}}
	if got := slices.Collect(outward(all, inner)); !slices.Equal(got, []loop{inner, disk}) {
		t.Errorf("from the inner one outward there are %+v", got)
	}
	if got := slices.Collect(outward(all, disk)); !slices.Equal(got, []loop{disk}) {
		t.Errorf("from the outer one outward there are %+v", got)
	}
}
