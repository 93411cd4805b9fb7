package awssim

import (
	"errors"
	"time"
)

// Physics are [Options] as Go duration strings.
type Physics struct {
	Latency         string `json:"latency,omitempty"`
	PropagationLag  string `json:"propagation_lag,omitempty"`
	KeyCreationTime string `json:"key_creation_time,omitempty"`
	CopyTime        string `json:"copy_time,omitempty"`
	ImageLag        string `json:"image_lag,omitempty"`
	BuildTime       string `json:"build_time,omitempty"`
	StatusCheckTime string `json:"status_check_time,omitempty"`
	Quotas          bool   `json:"quotas,omitempty"`
	// The following fields are those of [Options].
	AcceptUnknownOrganizations bool `json:"accept_unknown_organizations,omitempty"`
	// TokenMemory and DeregisterLag are those of [CopyOptions].
	TokenMemory   string `json:"token_memory,omitempty"`
	DeregisterLag string `json:"deregister_lag,omitempty"`
	CopyOptions
}

// Options turns the strings into durations.
func (p Physics) Options() (Options, error) {
	options := Options{
		Quotas: p.Quotas, CopyOptions: p.CopyOptions,
		AcceptUnknownOrganizations: p.AcceptUnknownOrganizations,
	}
	var problems []error
	for _, field := range []struct {
		text string
		to   *time.Duration
	}{
		{p.Latency, &options.Latency},
		{p.PropagationLag, &options.PropagationLag},
		{p.KeyCreationTime, &options.KeyCreationTime},
		{p.CopyTime, &options.CopyTime},
		{p.ImageLag, &options.ImageLag},
		{p.BuildTime, &options.BuildTime},
		{p.StatusCheckTime, &options.StatusCheckTime},
		{p.TokenMemory, &options.TokenMemory},
		{p.DeregisterLag, &options.DeregisterLag},
	} {
		if field.text == "" {
			continue
		}
		duration, err := time.ParseDuration(field.text)
		problems = append(problems, err)
		*field.to = duration
	}
	return options, errors.Join(problems...)
}
