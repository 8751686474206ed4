/*
 * image.h - a module file opened for real, through libltdl.
 *
 * Only a candidate worker opens images, after manifest_read() judged the file and after rights were
 * dropped. Images are never closed: the process ends with its generation.
 */
#ifndef CORE_IMAGE_H
#define CORE_IMAGE_H

#include <postern/module.h>

/* Owner is root or the running user, nobody else may write file or directory; else a sentence. */
int image_check_file(const char *path, char *err, size_t errlen);
/* NULL and a sentence, with the dynamic linker's own reason (libltdl hides it). */
const struct pstn_module *image_open(const char *path, char *err, size_t errlen);

#endif
