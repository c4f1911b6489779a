package install

import (
	"context"
	"strings"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/step"
	"github.com/gantry-run/gantry/runtime/config"
)

// VersionFile says on a host of which version the programs are that were started on it last.
// It is written behind them and before any process is restarted: masters have the programs
// of a new version before the first of them is upgraded, and where that one fails, the
// others still are what they were. A host of before there was such a file is given it by the
// next apply.
const VersionFile = config.BootstrapDir + "/version"

// VersionOnHost is the version of a host by the files that were read of it; empty where they
// do not say.
func VersionOnHost(files map[string][]byte) string {
	return strings.TrimSpace(string(files[VersionFile]))
}

// started is the change that notes the version. Told, when not nil, is told once it is.
type started struct {
	step.Files
	told func()
}

var _ step.Change = started{}

// Apply writes the file.
func (s started) Apply(ctx context.Context, h host.Host, seen step.Seen) error {
	err := s.Files.Apply(ctx, h, seen)
	if err == nil && s.told != nil {
		s.told()
	}
	return err
}

func starts(in Input) step.Change {
	return started{Files: step.Files{Files: []step.File{{Path: VersionFile, Data: []byte(in.Bundle.Version + "\n"), Mode: 0o644}}}, told: in.Starts}
}
