package audit

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"gopkg.in/natefinch/lumberjack.v2"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/audit/policy"
	auditlog "k8s.io/apiserver/plugin/pkg/audit/log"

	"github.com/gantry-run/gantry/runtime/config"
)

// Log is where events go, and which do.
type Log struct {
	Backend audit.Backend
	Policy  audit.PolicyRuleEvaluator
	file    io.Closer
}

// Open opens the log of a configuration that names one. Its directory and files are
// for their owner alone: events tell who did what with which object.
func Open(c config.Audit) (*Log, error) {
	p, err := load(c.PolicyFile)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(c.LogFile), 0o700); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	// That it cannot be written is an error now, not of the first request.
	f, err := os.OpenFile(c.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("audit log %s: %w", c.LogFile, err)
	}
	rotated := &lumberjack.Logger{Filename: c.LogFile, MaxAge: c.MaxAgeDays, MaxBackups: c.MaxBackups, MaxSize: c.MaxSizeMiB}
	return &Log{
		Backend: auditlog.NewBackend(rotated, auditlog.FormatJson, auditv1.SchemeGroupVersion),
		Policy:  policy.NewPolicyRuleEvaluator(p), file: rotated,
	}, nil
}

func load(file string) (*auditinternal.Policy, error) {
	if file == "" {
		return defaultPolicy(), nil
	}
	p, err := policy.LoadPolicyFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("audit policy: %w", err)
	}
	return p, nil
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }
