import {type RouteProp, useRoute} from '@react-navigation/native';
import {useEffect, useMemo, useState} from 'react';
import {Image} from 'react-native';

import {BeforeAfter} from '../components/BeforeAfter';
import {Button} from '../components/Button';
import {Choice, Toggle} from '../components/Choice';
import {Field} from '../components/Field';
import {ImagePicker, type Picked} from '../components/ImagePicker';
import {JobView} from '../components/JobView';
import {Card, Columns, Row, Screen} from '../components/Layout';
import {Empty} from '../components/LoadingIndicator';
import {MaskDrawer} from '../components/MaskDrawer';
import {ModelPicker} from '../components/ModelPicker';
import {Notice} from '../components/Notice';
import {PromptField} from '../components/PromptField';
import {Sheet} from '../components/Sheet';
import {Slider} from '../components/Slider';
import {StandIn} from '../components/StandIn';
import {Words} from '../components/Words';
import {useHaptics} from '../hooks/useHaptics';
import {useJob} from '../hooks/useJob';
import {useServices, useStore} from '../hooks/useServices';
import {useText} from '../i18n';
import {ruleWords} from '../i18n/problems';
import type {Routes} from '../navigation/routes';
import {editCall, refusal} from '../services/calls';
import {save, share} from '../services/files';
import {type Item, type Library, promptsOf} from '../services/library';
import {prepareBytes} from '../services/pictures';
import {encodeMask} from '../services/png';
import {coverage, type Drawing, fitted, nothingDrawn, rasterise, visible} from '../services/strokes';
import {radius} from '../theme/tokens';
import {useTheme} from '../theme/ThemeContext';
import {toBase64} from '../utils/bytes';
import {limits} from '../utils/constants';
import {inOneLine} from '../utils/helpers';

type Way = 'mask' | 'whole';
type Made = {item: Item; uri: string; beforeUri: string};

async function pictureOf(library: Library, id: string): Promise<Picked | null> {
  const file = await library.read(id);
  const uri = await library.uri(id);
  return file === null || uri === null ? null : {...(await prepareBytes(file.bytes, file.type)), uri};
}

export function ImageEditingScreen() {
  const t = useText();
  const {colors} = useTheme();
  const {params} = useRoute<RouteProp<Routes, 'ImageEditing'>>();
  const services = useServices();
  const items = useStore(services.library.items);
  const feel = useHaptics();
  const [picked, setPicked] = useState<Picked | null>(null);
  const [way, setWay] = useState<Way>('mask');
  const [drawing, setDrawing] = useState<Drawing>(nothingDrawn);
  const [keepMask, setKeepMask] = useState(true);
  const [touching, setTouching] = useState(false);
  const [preview, setPreview] = useState<{uri: string; part: number} | null>(null);
  const [prompt, setPrompt] = useState('');
  const [negative, setNegative] = useState('');
  const [strength, setStrength] = useState(0.75);
  const [model, setModel] = useState('');
  const [more, setMore] = useState(false);
  const [wrong, setWrong] = useState<Record<string, string>>({});

  const pick = (picture: Picked) => {
    // Going on with a result keeps the mask.
    const kept = picked === null || !keepMask ? null : fitted(drawing, picked, picture);
    setDrawing(kept ?? nothingDrawn);
    setPicked(picture);
  };

  const itemId = params?.itemId;
  useEffect(() => {
    if (itemId !== undefined) void pictureOf(services.library, itemId).then((picture) => picture && pick(picture));
    // Only when another one is brought here.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [itemId]);

  const {job, run, cancel} = useJob<Made>(async ({answer, id}, call) => {
    await services.deliver(id, 'edit-image', call.title, call.about, Date.now(), answer);
    feel('done');
    if (!keepMask) setDrawing(nothingDrawn);
    const item = services.library.items.get().find((one) => one.id === id)!;
    return {item, uri: (await services.library.uri(id)) ?? '', beforeUri: picked?.uri ?? ''};
  });

  const mask = () => (picked === null ? null : rasterise(drawing.edits, picked.width, picked.height));
  const isDrawn = useMemo(() => visible(drawing.edits).length > 0, [drawing.edits]);

  const start = () => {
    const refused: Record<string, string> = refusal(
      {prompt, negativePrompt: negative, model, ...(way === 'whole' && {strength})},
      limits.promptChars,
    );
    const pixels = way === 'mask' ? mask() : null;
    if (pixels !== null && coverage(pixels) === 0) refused.mask = t('maskEmpty');
    setWrong(refused);
    if (picked === null || Object.keys(refused).length > 0) return;
    void run(() =>
      editCall({
        picture: picked,
        prompt,
        negativePrompt: negative,
        model,
        ...(pixels === null ? {strength} : {mask: encodeMask(pixels, picked.width, picked.height)}),
      }),
    );
  };

  const made = job.state === 'done' ? job.value : null;
  const out = async (how: typeof share) => {
    const file = made === null ? null : await services.library.read(made.item.id);
    if (file !== null && made !== null) await how(file.bytes, file.type, `edited-${made.item.id}.png`);
  };

  return (
    <Screen broad scrolls={!touching}>
      <Columns
        first={
          <Card>
            <ImagePicker picked={picked} onPick={pick} preview={way === 'whole'} />
            {picked !== null && (
              <>
                <Choice
                  label={t('way')}
                  value={way}
                  onChange={setWay}
                  options={[
                    {value: 'mask' as const, label: t('wayMask')},
                    {value: 'whole' as const, label: t('wayWhole')},
                  ]}
                />
                {way === 'mask' ? (
                  <>
                    <MaskDrawer picture={picked} drawing={drawing} onChange={setDrawing} onTouching={setTouching} />
                    <Row>
                      <Button
                        icon="eye"
                        label={t('previewMask')}
                        disabled={!isDrawn}
                        onPress={() => {
                          const pixels = mask();
                          if (pixels === null) return;
                          const png = encodeMask(pixels, picked.width, picked.height);
                          setPreview({uri: `data:image/png;base64,${toBase64(png)}`, part: coverage(pixels)});
                        }}
                      />
                    </Row>
                    <Toggle label={t('keepMask')} value={keepMask} onChange={setKeepMask} />
                  </>
                ) : (
                  <Slider label={t('strength')} value={strength} min={0} max={1} step={0.05} shown={`${Math.round(strength * 100)} %`} onChange={setStrength} />
                )}
              </>
            )}
            {wrong.mask !== undefined && <Notice look="warn" text={wrong.mask} />}
          </Card>
        }
        second={
          <>
            <Card>
              <PromptField
                label={t('editPrompt')}
                value={prompt}
                onChange={(words) => {
                  setPrompt(words);
                  setWrong({});
                }}
                max={limits.promptChars}
                history={promptsOf(items, ['edit-image'])}
                placeholder={t('editPlaceholder')}
                lines={2}
                error={wrong.prompt === undefined ? undefined : ruleWords(wrong.prompt, t)}
              />
              {more ? (
                <>
                  <Field label={t('negativePrompt')} hint={t('negativeHint')} value={negative} onChangeText={setNegative} max={limits.promptChars} lines={2} />
                  <ModelPicker capability="edit-image" value={model} onChange={setModel} />
                </>
              ) : (
                <Button look="plain" icon="down" label={t('moreOptions')} onPress={() => setMore(true)} />
              )}
              <Button testID="edit" look="main" icon="edit" label={t('edit')} disabled={picked === null} busy={job.state === 'sending'} onPress={start} />
            </Card>
            <JobView job={job} label={t('editingPicture')} onCancel={cancel} onRetry={start} />
            {made !== null && (
              <Card>
                {made.item.placeholder && <StandIn />}
                <BeforeAfter before={made.beforeUri} after={made.uri} aspect={(made.item.width ?? 1) / (made.item.height ?? 1)} />
                <Words look="small">{inOneLine([made.item.model, t('pixels', {width: made.item.width ?? 0, height: made.item.height ?? 0})])}</Words>
                <Row>
                  <Button icon="edit" label={t('goOn')} onPress={() => void pictureOf(services.library, made.item.id).then((picture) => picture && pick(picture))} />
                  <Button icon="share" label={t('share')} onPress={() => void out(share)} />
                  <Button icon="save" label={t('saveFile')} onPress={() => void out(save)} />
                </Row>
              </Card>
            )}
            {picked === null && <Empty text={t('editEmpty')} />}
          </>
        }
      />
      <Sheet open={preview !== null} title={t('previewMask')} onClose={() => setPreview(null)}>
        {preview !== null && picked !== null && (
          <>
            <Image
              source={{uri: preview.uri}}
              accessibilityLabel={t('previewMask')}
              resizeMode="contain"
              // The mask's white may be the sheet's own.
              style={{width: '100%', aspectRatio: picked.width / picked.height, borderRadius: radius.small, borderWidth: 1, borderColor: colors.edge}}
            />
            <Words>{t('maskCovers', {percent: (preview.part * 100).toFixed(1), width: picked.width, height: picked.height})}</Words>
          </>
        )}
      </Sheet>
    </Screen>
  );
}
