/* A short list of user or group ids. */
#ifndef SAGAD_SAGAD_CONFIG_IDS_H
#define SAGAD_SAGAD_CONFIG_IDS_H

#include <stdint.h>

#define CONFIG_IDS_MAX 32

struct config_ids {
	uint32_t ids[CONFIG_IDS_MAX];
	uint32_t n;
};

#endif
